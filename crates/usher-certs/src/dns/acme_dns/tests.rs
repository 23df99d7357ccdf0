use std::task::Poll;

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

#[tokio::test(start_paused = true)]
async fn what_was_looked_up_is_forgotten_before_the_next_record() {
    let api = Api::start(&[(200, "{}"), (200, "{}")]).await;
    let provider = provider(&api);
    provider.set("_acme-challenge.example.com", "v1").await.unwrap();
    let mut second = provider.set("_acme-challenge.example.com", "v2");
    for _ in 0..1000 {
        // Whoever is busy sees no time pass.
        let is_pending =
            std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending())).await;
        assert!(is_pending && api.asked().len() == 1);
        tokio::task::yield_now().await;
    }
    second.await.unwrap();
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn says_why_it_failed() {
    let cases = [
        // It says no more, whichever it is.
        (401, r#"{"error": "forbidden"}"#, "; check `username`, `password` and `subdomain`"),
        (400, r#"{"error": "bad_txt"}"#, r#""bad_txt"}"#),
        (404, "404 page not found\n", "404 page not found; check `url`"),
    ];
    for (status, body, expected) in cases {
        let api = Api::start(&[(status, body)]).await;
        let error = provider(&api).set("n", "v").await.unwrap_err().to_string();
        assert!(error.contains(body.trim()) && error.contains(&status.to_string()), "{error}");
        assert!(error.contains(expected) && !error.contains("token"), "{error}");
    }
}
