use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> Cloudflare {
    let options = CloudflareOptions { base: api.base.clone(), ..CloudflareOptions::new("secret") };
    Cloudflare::new(options, Http::new(None).unwrap())
}

#[tokio::test]
async fn finds_the_zone_and_adds_beside_others() {
    let none = (200, r#"{"result":[]}"#);
    let moved = r#"{"result":[{"id":"z2","name":"other.com","status":"active"},
        {"id":"z0","name":"example.com","status":"pending"},
        {"id":"z1","name":"example.com","status":"active"}]}"#;
    let api = Api::start(&[none, none, (200, moved), (200, "{}")]).await;
    provider(&api).set("_acme-challenge.a.example.com", "v1").await.unwrap();
    let asked = api.asked();
    let targets: Vec<_> = asked.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    let wanted = [
        "GET /zones?name=_acme-challenge.a.example.com&per_page=50&page=1",
        "GET /zones?name=a.example.com&per_page=50&page=1",
        "GET /zones?name=example.com&per_page=50&page=1",
        "POST /zones/z1/dns_records",
    ];
    assert_eq!(targets, wanted);
    assert!(asked.iter().all(|one| one.field("authorization") == "Bearer secret"));
    let body: Value = serde_json::from_str(&asked[3].body).unwrap();
    assert_eq!(
        body,
        json!({"type":"TXT","name":"_acme-challenge.a.example.com","content":"\"v1\"","ttl":60})
    );
}

const NONE: (u16, &str) = (200, r#"{"result":[],"success":true}"#);
const ZONE: (u16, &str) =
    (200, r#"{"result":[{"id":"z1","name":"example.com","status":"active"}],"success":true}"#);
const NAME: &str = "_acme-challenge.example.com";

#[tokio::test]
async fn removes_only_its_own_record_from_all_pages() {
    let first = r#"{"result":[{"id":"r1","name":"_acme-challenge.example.com","content":"\"other\""},
        {"id":"r2","name":"_ACME-challenge.example.com","content":"\"v1\""},
        {"id":"r3","name":"x.example.com","content":"v1"}],"result_info":{"page":1,"total_pages":2}}"#;
    let second = r#"{"result":[{"id":"r4","name":"_acme-challenge.example.com","content":"v1"}],
        "result_info":{"page":2,"total_pages":2}}"#;
    let gone = (404, r#"{"success":false,"errors":[{"code":81044,"message":"Record does not exist."}]}"#);
    let api = Api::start(&[NONE, ZONE, (200, first), (200, second), (200, "{}"), gone]).await;
    provider(&api).remove(NAME, "v1").await.unwrap();
    let targets: Vec<_> =
        api.asked().iter().skip(2).map(|one| format!("{} {}", one.method, one.target)).collect();
    let list = format!("GET /zones/z1/dns_records?type=TXT&name.exact={NAME}&per_page=50&page=");
    let wanted = [
        format!("{list}1"),
        format!("{list}2"),
        "DELETE /zones/z1/dns_records/r2".to_owned(),
        "DELETE /zones/z1/dns_records/r4".to_owned(),
    ];
    assert_eq!(targets, wanted);
}

#[tokio::test]
async fn a_record_that_is_there_is_fine() {
    for code in [81057, 81058] {
        let there = format!(
            r#"{{"result":null,"success":false,"errors":[{{"code":{code},"message":"It exists."}}],"messages":[]}}"#
        );
        let api = Api::start(&[NONE, ZONE, (400, &there)]).await;
        provider(&api).set(NAME, "v").await.unwrap();
    }
}

/// A token that is limited to some zones is told for others that it may not list zones.
#[tokio::test]
async fn zones_that_the_token_may_not_ask_for_are_passed_over() {
    let forbidden = (
        403,
        r#"{"success":false,"errors":[{"code":0,"message":"requires permission to list zones"}],"result":null}"#,
    );
    let api = Api::start(&[forbidden, forbidden, ZONE, (200, r#"{"success":true}"#)]).await;
    provider(&api).set("_acme-challenge.a.example.com", "v").await.unwrap();
    assert_eq!(api.asked()[3].target, "/zones/z1/dns_records");
    let api = Api::start(&[forbidden; 3]).await;
    let error = provider(&api).set("_acme-challenge.a.example.com", "v").await.unwrap_err().to_string();
    assert!(error.contains("requires permission to list zones (0); check the token"), "{error}");
}

#[tokio::test]
async fn says_what_is_wrong() {
    let headers = r#"{"success":false,"errors":[{"code":6003,"message":"Invalid request headers",
        "error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}]}"#;
    let cases = [
        (
            400,
            headers,
            "Invalid request headers (6003), Invalid format for Authorization header (6111); check",
        ),
        (200, r#"{"success":false,"errors":[{"code":1,"message":"odd"}]}"#, "odd (1)"),
        (200, r#"{"result":[]}"#, "no zone"),
        (200, "[]", "no zone"),
        (200, r#"[{"result":{}}]"#, "no zone"),
        (502, "<html>", "502 when asked to find the zone: <html>"),
    ];
    for (status, body, expected) in cases {
        let api = Api::start(&[(status, body), (status, body)]).await;
        let error = provider(&api).set(NAME, "v").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The zone's name instead of its identifier.
#[tokio::test]
async fn says_that_the_zone_is_not_an_identifier() {
    let route = r#"{"errors":[{"code":7003,"message":"Could not route to /x, perhaps it is invalid?"}]}"#;
    let zone =
        r#"{"success":false,"errors":[{"code":1001,"message":"Invalid zone identifier"}],"result":null}"#;
    for (status, body) in [(404, route), (400, route), (404, zone)] {
        let api = Api::start(&[(status, body)]).await;
        let zone_id = Some("example.com".to_owned());
        let options =
            CloudflareOptions { base: api.base.clone(), zone_id, ..CloudflareOptions::new("secret") };
        let provider = Cloudflare::new(options, Http::new(None).unwrap());
        let error = provider.set(NAME, "v").await.unwrap_err().to_string();
        assert!(error.ends_with("; `zone` is to be the identifier of the zone, not its name"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn comes_back_where_it_asked_too_often() {
    let limit = (429, r#"{"success":false,"errors":[{"code":971,"message":"Please wait."}]}"#);
    let api = Api::start(&[limit, NONE, ZONE, limit, limit, (200, "{}")]).await;
    provider(&api).set(NAME, "v").await.unwrap();
    assert_eq!(api.asked().len(), 6);
}
