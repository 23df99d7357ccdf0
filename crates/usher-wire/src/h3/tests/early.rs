//! Early data.

use super::*;

#[test]
fn request_of_early_data_is_told() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        echo_all(server);
        get(&client).await.expect("an answer, and a ticket");
        drop(client);
        let connection = ground.begin();
        assert!(connection.may_send_early());
        let client = client_of(connection);
        let asking = tokio::task::spawn_local(async move {
            let first = get(&client).await.expect("an answer");
            (first, get(&client).await.expect("an answer"))
        });
        let connection = ground.listener.accept().await.expect("an arrival");
        let mut server = Server::new(connection, Limits::default());
        let mut seen = Request::default();
        let mut early = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        assert!(early.is_early());
        respond(&mut early, 425, Framing::None);
        finish(&mut early, None).await.expect("finished");
        drop(early);
        let late = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        assert!(!late.is_early());
        echo(late).await.expect("answered");
        let ends = next(&mut server, &mut seen);
        let (end, asked) = tokio::join!(ends, asking);
        assert_eq!(asked.expect("the client"), (425, 200));
        assert!(end.expect("an orderly end").is_none());
    });
}
