//! What a thief of the bucket, of Redis or of the logs would find: nothing of what it is about.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::kit::backup::objects;
use crate::kit::coffer::{Coffer, EMAIL, PASSWORD, json_of};
use crate::kit::lent;

/// Marks that must be nowhere but with the owner.
const NAME: &str = "canary-name-5b1e.txt";
const FOLDER: &str = "canary-folder-77aa";
const CONTENT: &str = "canary-content-0c4d: the plaintext of a file that nobody else may read";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// A secret in the forms in which it may turn up.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    vec![
        secret.to_vec(),
        data_encoding::BASE64.encode(secret).into_bytes(),
        data_encoding::BASE64URL_NOPAD.encode(secret).into_bytes(),
        data_encoding::HEXLOWER.encode(secret).into_bytes(),
    ]
}

/// Does what an owner does; the session's token and whatever else was given out.
async fn use_it(coffer: &Coffer) -> (String, Vec<String>) {
    let login = coffer.log_in().await;
    let folder = login.create("/folders", &json!({"parent": "root", "name": FOLDER})).await;
    let file = login.upload(folder["id"].as_str().unwrap(), NAME, CONTENT).await;
    let id = file["id"].as_str().unwrap();
    assert_eq!(login.download(id).await, CONTENT.as_bytes());
    let replaced =
        login.request(Method::PUT, &format!("/files/{id}/content")).body(CONTENT.repeat(2)).send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    login.request(Method::DELETE, &format!("/nodes/{id}")).send().await.unwrap();
    login.request(Method::POST, &format!("/nodes/{id}/restore")).send().await.unwrap();
    let ask = async |door: &str| {
        let asked = login.request(Method::POST, &format!("/files/{id}/{door}")).json(&json!({})).send().await.unwrap();
        json_of(asked, StatusCode::OK).await
    };
    let (grant, ticket) = (ask("grant").await, ask("ticket").await);
    let url = ticket["url"].as_str().unwrap();
    coffer.client.get(coffer.url(url)).send().await.unwrap();
    let ticket = url.rsplit('/').next().unwrap().to_owned();
    let signature = grant["url"].as_str().unwrap().split("X-Amz-Signature=").nth(1).unwrap();
    let signature = signature.split('&').next().unwrap().to_owned();
    (login.token, vec![grant["key"].as_str().unwrap().to_owned(), signature, ticket])
}

#[tokio::test]
async fn bucket_and_redis_hold_no_name_no_plaintext_no_key_and_no_token() {
    let coffer = Coffer::start().await;
    let (token, given) = use_it(&coffer).await;
    let root_key = coffer.setting("VAULT_KEYS").split_once(':').unwrap().1.to_owned();
    let root_key = data_encoding::BASE64.decode(root_key.as_bytes()).unwrap();
    let mut secrets: Vec<Vec<u8>> =
        [NAME, FOLDER, CONTENT, EMAIL, PASSWORD, token.as_str(), coffer.setting("JWT_SECRET")]
            .into_iter()
            .map(|text| text.as_bytes().to_vec())
            .chain(token.split('.').map(|part| part.as_bytes().to_vec()))
            .collect();
    secrets.push(root_key);
    secrets.extend(given.iter().map(|text| text.as_bytes().to_vec()));
    secrets.extend(given.iter().map(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()));
    let mut places = vec![("a dump of Redis".to_owned(), coffer.redis.dump().await)];
    places.extend(objects(&coffer).await);
    assert!(places.iter().any(|(key, _)| key.starts_with("blob/")), "the bucket was looked at");
    for (place, bytes) in &places {
        for secret in &secrets {
            for form in forms(secret) {
                assert!(!contains(bytes, &form) && !contains(place.as_bytes(), &form), "{place} holds {secret:02x?}");
            }
        }
    }
}

#[tokio::test]
async fn no_log_line_holds_a_secret_a_token_or_a_name_even_at_trace() {
    let mut coffer = Coffer::start_with(&[("LOG_LEVEL", "trace")]).await;
    let (token, given) = use_it(&coffer).await;
    let client = &coffer.client;
    let strange = "canary-stranger-31f0";
    // Everything that a stranger or a mistaken client might send, too.
    for request in [
        client.get(coffer.url(&format!("/{strange}?token={strange}"))),
        client.get(coffer.url("/api/v1/session")).bearer_auth(strange),
        client.get(coffer.url("/api/v1/session")).header("cookie", format!("coffer={strange}")),
        client
            .post(coffer.url("/api/v1/session"))
            .json(&json!({"email": strange, "password": strange, "transport": "bearer"})),
        client.post(coffer.url("/api/v1/session")).body(strange).header("content-type", "application/json"),
        client.get(coffer.url(&format!("/api/v1/nodes/{strange}"))).bearer_auth(&token),
        client.get(coffer.url(&format!("/coffer-test/blob/{strange}?X-Amz-Signature={strange}"))),
    ] {
        assert!(request.send().await.unwrap().status().is_client_error());
    }
    // Failures are where secrets slip out: lose Redis for a moment, then stop.
    coffer.redis.kill();
    client.get(coffer.url("/api/v1/session")).bearer_auth(&token).send().await.unwrap();
    coffer.redis.restart().await;
    coffer.wait_until_ready().await;
    assert!(coffer.stop());

    let output = coffer.output();
    assert!(output.contains("answered"), "the log is on: {output}");
    let settings = ["USER_PASSWORD", "JWT_SECRET", "VAULT_KEYS", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"];
    let mut secrets: Vec<String> = settings.iter().map(|name| coffer.setting(name).to_owned()).collect();
    secrets.push(coffer.setting("VAULT_KEYS").split_once(':').unwrap().1.to_owned());
    secrets.extend([NAME, FOLDER, "canary-content", strange, &token].map(str::to_owned));
    secrets.extend(token.split('.').map(str::to_owned));
    secrets.extend(given);
    for secret in secrets {
        if let Some(line) = output.lines().find(|line| line.contains(&secret)) {
            panic!("{secret} in the log: {line}");
        }
    }
    for sign in ["X-Amz-Signature=", "Signature=", "Bearer ey"] {
        assert!(!output.contains(sign), "{sign} in the log");
    }
}

#[tokio::test]
async fn keys_in_the_bucket_are_made_by_the_server_alone() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for name in ["blob", "..\\blob\\x", "log%2Fcatalog", "vault"] {
        login.upload("root", name, "x").await;
    }
    for (name, value) in
        [("key", "log/catalog/evil"), ("x-amz-key", "vault"), ("id", "00000000000000000000000000000000")]
    {
        let request = login.request(Method::POST, "/folders/root/files").query(&[("name", format!("q{name}"))]);
        let response = request.query(&[(name, value)]).header(name, value).body("x").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    for key in objects(&coffer).await.keys() {
        if let Some(name) = key.strip_prefix("blob/") {
            assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        } else {
            assert!(!key.contains("evil"), "{key}");
        }
    }
}

#[tokio::test]
async fn the_bucket_under_the_vaults_own_address_answers_nobody_without_a_signature() {
    if lent::skip("a lent bucket is not under the vault's address") {
        return;
    }
    let coffer = Coffer::start().await;
    use_it(&coffer).await;
    let bucket = coffer.setting("S3_BUCKET").to_owned();
    for path in ["", "/", "/vault", "/?list-type=2", "/..%2f..%2fcoffer.log", "/../coffer.log"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            let response =
                coffer.client.request(method.clone(), coffer.url(&format!("/{bucket}{path}"))).send().await.unwrap();
            assert!(response.status().is_client_error(), "{method} {path}: {}", response.status());
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }
}
