use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> DeSec {
    DeSec::new(DeSecOptions { token: "secret".to_owned(), base: api.base.clone() }, Http::new(None).unwrap())
}

const DOMAIN: (u16, &str) = (200, r#"[{"name":"example.com"}]"#);
/// There are no records of that name.
const NONE: (u16, &str) = (200, "[]");

#[tokio::test]
async fn keeps_the_other_records_of_the_name() {
    let api = Api::start(&[DOMAIN, (200, r#"[{"records":["\"old\""]}]"#), (200, "[]")]).await;
    provider(&api).set("_acme-challenge.a.example.com", "v1").await.unwrap();
    let asked = api.asked();
    let targets: Vec<_> = asked.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    assert_eq!(
        targets,
        [
            "GET /domains/?owns_qname=_acme-challenge.a.example.com",
            "GET /domains/example.com/rrsets/?subname=_acme-challenge.a&type=TXT",
            "PATCH /domains/example.com/rrsets/",
        ]
    );
    assert!(asked.iter().all(|one| one.field("authorization") == "Token secret"));
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!(body[0]["records"], json!(["\"old\"", "\"v1\""]));
    assert_eq!(body[0]["subname"], "_acme-challenge.a");
}

#[tokio::test]
async fn removes_the_set_with_its_last_record() {
    let api = Api::start(&[DOMAIN, (200, r#"[{"records":["\"v1\""]}]"#), (200, "[]")]).await;
    provider(&api).remove("_acme-challenge.example.com", "v1").await.unwrap();
    let body: Value = serde_json::from_str(&api.asked()[2].body).unwrap();
    assert_eq!((&body[0]["records"], &body[0]["subname"]), (&json!([]), &json!("_acme-challenge")));
}

#[tokio::test]
async fn the_domain_itself_has_a_place_and_a_lifetime_of_its_own() {
    let domain = (200, r#"[{"name":"challenges.example","minimum_ttl":60}]"#);
    let api = Api::start(&[domain, NONE, (200, "[]")]).await;
    provider(&api).set("challenges.example", "v1").await.unwrap();
    let asked = api.asked();
    assert_eq!(asked[1].target, "/domains/challenges.example/rrsets/?subname=&type=TXT");
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!(body, json!([{"subname": "", "type": "TXT", "ttl": 60, "records": ["\"v1\""]}]));
}

/// Changes are what it limits most.
#[tokio::test]
async fn writes_nothing_where_nothing_changes() {
    let api = Api::start(&[DOMAIN, (200, r#"[{"records":["\"v1\""]}]"#)]).await;
    provider(&api).set("_acme-challenge.example.com", "v1").await.unwrap();
    assert_eq!(api.asked().len(), 2);
    let api = Api::start(&[DOMAIN, NONE]).await;
    provider(&api).remove("_acme-challenge.example.com", "v1").await.unwrap();
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn says_why_it_failed() {
    let slow = (429, r#"{"detail":"Request was throttled. Expected available in 1 second."}"#);
    let alias = (400, r#"[{"non_field_errors":["RRset with conflicting type present: database (CNAME)."]}]"#);
    let cases = [
        (vec![(200, "[]")], "no domain"),
        (vec![(401, r#"{"detail":"Invalid token."}"#)], "Invalid token.\"}; check the token"),
        (vec![DOMAIN, (404, r#"{"detail":"Not found."}"#)], "Not found"),
        (vec![DOMAIN, NONE, alias], "conflicting type"),
        ([&[DOMAIN][..], &[NONE, slow].repeat(6)].concat(), "throttled"),
    ];
    for (answers, expected) in cases {
        let api = Api::start(&answers).await;
        let error = provider(&api).set("_acme-challenge.example.com", "v").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(api.asked().len(), answers.len(), "{error}");
    }
}

/// After each wait, and where others wrote at the same moment, the set is read again: theirs would be lost otherwise.
#[tokio::test(start_paused = true)]
async fn what_others_write_meanwhile_stays() {
    let slow = (429, r#"{"detail":"Request was throttled. Expected available in 1 second."}"#);
    let conflict = (409, r#"{"detail":"Conflict: duplicate key value violates unique constraint"}"#);
    let theirs = (200, r#"[{"ttl":86400,"records":["\"theirs\""]}]"#);
    let answers = [slow, DOMAIN, slow, NONE, slow, NONE, conflict, theirs, (200, "[]")];
    let api = Api::start(&answers).await;
    provider(&api).set("_acme-challenge.example.com", "v").await.unwrap();
    let asked = api.asked();
    assert_eq!(asked.len(), answers.len());
    let wanted = |at: usize| serde_json::from_str::<Value>(&asked[at].body).unwrap()[0].clone();
    assert_eq!((&wanted(4)["records"], &wanted(4)["ttl"]), (&json!(["\"v\""]), &json!(3600)));
    // Their lifetime stays, too.
    assert_eq!((&wanted(8)["records"], &wanted(8)["ttl"]), (&json!(["\"theirs\"", "\"v\""]), &json!(86400)));
}
