use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> Route53 {
    let options = Route53Options {
        session_token: Some("temporary".to_owned()),
        base: api.base.clone(),
        ..Route53Options::new("AKID", "secret")
    };
    Route53::new(options, Http::new(None).unwrap())
}

fn zone(name: &str, private: bool) -> String {
    format!(
        "<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>{name}.</Name><Config><PrivateZone>{private}\
         </PrivateZone></Config></HostedZone></HostedZones></R>"
    )
}

fn set(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<Value>&quot;{value}&quot;</Value>")).collect();
    format!(
        "<R><ResourceRecordSet><Name>{name}.</Name><Type>TXT</Type><TTL>300</TTL>{values}</ResourceRecordSet></R>"
    )
}

/// The hosted zones of a name, in the order in which they are listed.
fn zones(name: &str, private: &[bool]) -> String {
    let zone = |(index, private): (usize, &bool)| {
        zone(name, *private).replace("Z1", &format!("Z{}", index + 1)).replace("<R>", "").replace("</R>", "")
    };
    format!("<R>{}</R>", private.iter().enumerate().map(zone).collect::<String>())
}

const NAME: &str = "_acme-challenge.a.example.com";

#[tokio::test]
async fn adds_beside_the_others_of_the_name() {
    let api = Api::start(&[
        (200, "<R/>"),
        (200, &zone("b.example.com", false)),
        (200, &zone("example.com", false)),
        (200, &set(NAME, &["old"])),
        (200, "<R/>"),
    ])
    .await;
    provider(&api).set(NAME, "v1").await.unwrap();
    let asked = api.asked();
    let targets: Vec<_> = asked.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    assert_eq!(
        targets,
        [
            &format!("GET /2013-04-01/hostedzonesbyname?dnsname={NAME}&maxitems=100"),
            "GET /2013-04-01/hostedzonesbyname?dnsname=a.example.com&maxitems=100",
            "GET /2013-04-01/hostedzonesbyname?dnsname=example.com&maxitems=100",
            &format!("GET /2013-04-01/hostedzone/Z1/rrset?maxitems=1&name={NAME}&type=TXT"),
            "POST /2013-04-01/hostedzone/Z1/rrset/",
        ]
    );
    for one in &asked {
        let authorization = one.field("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"),
            "{authorization}"
        );
        assert_eq!(one.field("x-amz-security-token"), "temporary");
    }
    assert!(asked[4].body.contains("<Action>UPSERT</Action>"));
    assert!(
        asked[4]
            .body
            .contains("<Value>\"old\"</Value></ResourceRecord><ResourceRecord><Value>\"v1\"</Value>")
    );
}

#[tokio::test]
async fn removes_the_set_with_its_last_record_only() {
    for (before, action) in [(vec!["v1"], "DELETE"), (vec!["v1", "old"], "UPSERT")] {
        let api = Api::start(&[(200, &zone(NAME, false)), (200, &set(NAME, &before)), (200, "<R/>")]).await;
        provider(&api).remove(NAME, "v1").await.unwrap();
        let body = &api.asked()[2].body;
        assert!(
            body.contains(&format!("<Action>{action}</Action>")) && body.contains("<TTL>300</TTL>"),
            "{body}"
        );
    }
    // Nothing of the name is there: nothing is changed.
    let api = Api::start(&[(200, &zone(NAME, false)), (200, &set("z.example.com", &["v1"]))]).await;
    provider(&api).remove(NAME, "v1").await.unwrap();
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn what_others_wrote_stays_as_it_is() {
    let before = set(NAME, &["a &amp; b &lt;c&gt; &amp;lt; &#39;"]);
    let api = Api::start(&[(200, &zone(NAME, false)), (200, &before), (200, "<R/>")]).await;
    provider(&api).set(NAME, "v1").await.unwrap();
    let body = &api.asked()[2].body;
    assert!(body.contains("<Value>\"a &amp; b &lt;c&gt; &amp;lt; '\"</Value>"), "{body}");
}

#[tokio::test]
async fn the_public_zone_of_several_is_taken() {
    for (private, expected) in [(&[true, false][..], "Z2"), (&[true, true, false, false], "Z3")] {
        let found = zones("example.com", private);
        let api = Api::start(&[(200, "<R/>"), (200, &found), (200, "<R/>"), (200, "<R/>")]).await;
        provider(&api).set("_acme-challenge.example.com", "v").await.unwrap();
        assert_eq!(api.asked()[3].target, format!("/2013-04-01/hostedzone/{expected}/rrset/"));
    }
}

#[tokio::test]
async fn private_zones_and_refusals_are_no_success() {
    let private = zone("a.example.com", true);
    let api = Api::start(&[(200, "<R/>"), (200, &private), (200, "<R/>")]).await;
    let error = provider(&api).set(NAME, "v").await.unwrap_err().to_string();
    assert!(error.contains("no public hosted zone"), "{error}");
    let refused = "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>It&apos;s \
                   wrong</Message></Error></ErrorResponse>";
    let api = Api::start(&[(403, refused)]).await;
    let error = provider(&api).set(NAME, "v").await.unwrap_err().to_string();
    assert!(error.contains("zone: It's wrong (SignatureDoesNotMatch); check"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn comes_back_where_it_asked_too_often() {
    let error = |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    let (slow, busy) = (error("Throttling"), error("PriorRequestNotComplete"));
    let found = zone(NAME, false);
    let all = [
        (400, slow.as_str()),
        (200, &found),
        (503, ""),
        (200, "<R/>"),
        (400, &busy),
        (400, &busy),
        (200, "<R/>"),
    ];
    let api = Api::start(&all).await;
    provider(&api).set(NAME, "v").await.unwrap();
    assert_eq!(api.asked().len(), all.len());
}
