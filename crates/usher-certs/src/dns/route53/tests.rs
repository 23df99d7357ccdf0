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
    let values: String = values.iter().map(|value| format!("<Value>\"{value}\"</Value>")).collect();
    format!("<R><ResourceRecordSet><Name>{name}.</Name><Type>TXT</Type>{values}</ResourceRecordSet></R>")
}

const NAME: &str = "_acme-challenge.a.example.com";

#[tokio::test]
async fn adds_beside_the_others_of_the_name() {
    let api = Api::start(&[
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
            "GET /2013-04-01/hostedzonesbyname?dnsname=a.example.com&maxitems=1",
            "GET /2013-04-01/hostedzonesbyname?dnsname=example.com&maxitems=1",
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
    assert!(asked[3].body.contains("<Action>UPSERT</Action>"));
    assert!(
        asked[3]
            .body
            .contains("<Value>\"old\"</Value></ResourceRecord><ResourceRecord><Value>\"v1\"</Value>")
    );
}

#[tokio::test]
async fn removes_the_set_with_its_last_record_only() {
    for (before, action) in [(vec!["v1"], "DELETE"), (vec!["v1", "old"], "UPSERT")] {
        let api =
            Api::start(&[(200, &zone("a.example.com", false)), (200, &set(NAME, &before)), (200, "<R/>")])
                .await;
        provider(&api).remove(NAME, "v1").await.unwrap();
        assert!(api.asked()[2].body.contains(&format!("<Action>{action}</Action>")));
    }
    // Nothing of the name is there: nothing is changed.
    let api =
        Api::start(&[(200, &zone("a.example.com", false)), (200, &set("z.example.com", &["v1"]))]).await;
    provider(&api).remove(NAME, "v1").await.unwrap();
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn private_zones_and_refusals_are_no_success() {
    let api = Api::start(&[(200, &zone("a.example.com", true)), (200, "<R/>")]).await;
    let error = provider(&api).set(NAME, "v").await.unwrap_err().to_string();
    assert!(error.contains("no public hosted zone"), "{error}");
    let api = Api::start(&[(403, "<Message>SignatureDoesNotMatch</Message>")]).await;
    let error = provider(&api).set(NAME, "v").await.unwrap_err().to_string();
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");
}
