use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> Cloudflare {
    let options = CloudflareOptions { base: api.base.clone(), ..CloudflareOptions::new("secret") };
    Cloudflare::new(options, Http::new(None).unwrap())
}

#[tokio::test]
async fn finds_the_zone_and_adds_beside_others() {
    let api =
        Api::start(&[(200, r#"{"result":[]}"#), (200, r#"{"result":[{"id":"z1"}]}"#), (200, "{}")]).await;
    provider(&api).set("_acme-challenge.a.example.com", "v1").await.unwrap();
    let asked = api.asked();
    let targets: Vec<_> = asked.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    let wanted =
        ["GET /zones?name=a.example.com", "GET /zones?name=example.com", "POST /zones/z1/dns_records"];
    assert_eq!(targets, wanted);
    assert!(asked.iter().all(|one| one.field("authorization") == "Bearer secret"));
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!(
        body,
        json!({"type":"TXT","name":"_acme-challenge.a.example.com","content":"\"v1\"","ttl":60})
    );
}

#[tokio::test]
async fn removes_only_its_own_record() {
    let list = r#"{"result":[{"id":"r1","content":"\"other\""},{"id":"r2","content":"\"v1\""}]}"#;
    let api = Api::start(&[(200, r#"{"result":[{"id":"z1"}]}"#), (200, list), (200, "{}")]).await;
    provider(&api).remove("_acme-challenge.example.com", "v1").await.unwrap();
    let asked = api.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!((asked[2].method.as_str(), asked[2].target.as_str()), ("DELETE", "/zones/z1/dns_records/r2"));
}

#[tokio::test]
async fn says_what_the_token_lacks() {
    let api = Api::start(&[(403, r#"{"errors":[{"message":"Invalid access token"}]}"#)]).await;
    let error = provider(&api).set("_acme-challenge.example.com", "v").await.unwrap_err().to_string();
    assert!(error.contains("Invalid access token") && error.contains("check the token"), "{error}");
    let api = Api::start(&[(200, r#"{"result":[]}"#)]).await;
    let error = provider(&api).set("_acme-challenge.example.com", "v").await.unwrap_err().to_string();
    assert!(error.contains("no zone"), "{error}");
}
