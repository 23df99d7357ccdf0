use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> DeSec {
    DeSec::new(DeSecOptions { token: "secret".to_owned(), base: api.base.clone() }, Http::new(None).unwrap())
}

const DOMAIN: (u16, &str) = (200, r#"[{"name":"example.com"}]"#);

#[tokio::test]
async fn keeps_the_other_records_of_the_name() {
    let api = Api::start(&[DOMAIN, (200, r#"{"records":["\"old\""]}"#), (200, "[]")]).await;
    provider(&api).set("_acme-challenge.a.example.com", "v1").await.unwrap();
    let asked = api.asked();
    let targets: Vec<_> = asked.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    assert_eq!(
        targets,
        [
            "GET /domains/?owns_qname=_acme-challenge.a.example.com",
            "GET /domains/example.com/rrsets/_acme-challenge.a/TXT/",
            "PUT /domains/example.com/rrsets/",
        ]
    );
    assert!(asked.iter().all(|one| one.field("authorization") == "Token secret"));
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!(body[0]["records"], json!(["\"old\"", "\"v1\""]));
    assert_eq!(body[0]["subname"], "_acme-challenge.a");
}

#[tokio::test]
async fn removes_the_set_with_its_last_record() {
    let api = Api::start(&[DOMAIN, (200, r#"{"records":["\"v1\""]}"#), (200, "[]")]).await;
    provider(&api).remove("_acme-challenge.example.com", "v1").await.unwrap();
    let body: Value = serde_json::from_str(&api.asked()[2].body).unwrap();
    assert_eq!((&body[0]["records"], &body[0]["subname"]), (&json!([]), &json!("_acme-challenge")));
}

#[tokio::test]
async fn says_why_it_failed() {
    let api = Api::start(&[(200, "[]")]).await;
    let error = provider(&api).set("_acme-challenge.example.com", "v").await.unwrap_err().to_string();
    assert!(error.contains("no domain"), "{error}");
    let api = Api::start(&[DOMAIN, (404, "{}"), (429, "slow down")]).await;
    let error = provider(&api).set("_acme-challenge.example.com", "v").await.unwrap_err().to_string();
    assert!(error.contains("slow down") && error.contains("429"), "{error}");
}
