use super::*;
use crate::dns::testing::Api;

fn provider(api: &Api) -> AcmeDns {
    let options = AcmeDnsOptions {
        base: format!("{}/", api.base),
        username: "user".to_owned(),
        password: "secret".to_owned(),
        subdomain: "d42".to_owned(),
    };
    AcmeDns::new(options, Http::new(None).unwrap())
}

#[tokio::test]
async fn updates_its_subdomain() {
    let api = Api::start(&[(200, "{}")]).await;
    let provider = provider(&api);
    provider.set("_acme-challenge.example.com", "v1").await.unwrap();
    provider.remove("_acme-challenge.example.com", "v1").await.unwrap();
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/update"));
    assert_eq!((asked[0].field("x-api-user"), asked[0].field("x-api-key")), ("user", "secret"));
    assert_eq!(asked[0].body, r#"{"subdomain":"d42","txt":"v1"}"#);
}

#[tokio::test]
async fn says_why_it_failed() {
    for (status, body) in [(401, r#"{"error":"forbidden"}"#), (400, r#"{"error":"bad_txt"}"#)] {
        let api = Api::start(&[(status, body)]).await;
        let error = provider(&api).set("n", "v").await.unwrap_err().to_string();
        assert!(error.contains(body) && error.contains(&status.to_string()), "{error}");
    }
}
