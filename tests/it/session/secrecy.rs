//! Tokens that were altered or forged, and what a reader of Redis learns.

use coffer::config::Secret;
use coffer::owner::Demand;
use coffer::session::{Login, SessionError, Transport};

use super::{EMAIL, EPOCH, HOME, House, PASSWORD, SECOND_MS, SECRET, client};

#[tokio::test]
async fn secrets_are_changed_with_an_overlap() {
    let house = House::new().await;
    let old = house.log_in().await;
    let next = || Secret::new("the next signing secret, of a good length too".into());
    let overlapping = house.restarted(|config| config.jwt_secrets.insert(0, next()));
    assert!(overlapping.authenticate(old.token.expose(), &client(HOME), EPOCH).await.is_ok());
    let password = Secret::new(PASSWORD.into());
    let login = Login { email: EMAIL.into(), password, transport: Transport::Cookie, client: client(HOME) };
    let new = overlapping.log_in(login, &house.owner, Demand::None, EPOCH).await.unwrap();
    assert!(!house.is_living(&new).await, "the first secret signs, and the old process does not know it");

    let alone = house.restarted(|config| config.jwt_secrets = vec![next()]);
    assert!(alone.authenticate(new.token.expose(), &client(HOME), EPOCH).await.is_ok());
    let refused = alone.authenticate(old.token.expose(), &client(HOME), EPOCH).await;
    assert_eq!(refused.unwrap_err(), SessionError::InvalidToken);
}

#[tokio::test]
async fn a_token_of_another_vault_is_refused() {
    let (house, other) = (House::new().await, House::new().await);
    let new = house.log_in().await;
    assert_eq!(other.authenticate(&new).await.unwrap_err(), SessionError::InvalidToken);
}

#[tokio::test]
async fn a_record_in_another_ones_place_is_nobodys() {
    let house = House::new().await;
    let (one, two) = (house.log_in().await, house.log_in().await);
    let mut raw = house.redis.connection().await;
    let table = format!("{}:sessions", house.state.vault_id().hex());
    let record: Vec<u8> = redis::Cmd::hget(&table, one.session.id.hex()).query_async(&mut raw).await.unwrap();
    redis::Cmd::hset(&table, two.session.id.hex(), record).exec_async(&mut raw).await.unwrap();
    assert_eq!(house.authenticate(&two).await.unwrap_err(), SessionError::InvalidToken);
    assert!(house.is_living(&one).await);
    assert_eq!(house.sessions.list(EPOCH).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dump_tells_no_token_no_person_and_no_address() {
    let house = House::private().await;
    let new = house.log_in().await;
    assert!(house.try_from("198.51.100.77", EMAIL, "canary-wrong").await.is_err());
    house.clock.advance(60 * SECOND_MS);
    assert!(house.is_living(&new).await);
    let dump = house.redis.dump().await;
    let holds = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&new.session.id.hex()), "the dump is the real one");
    let token = new.token.expose();
    let (_, signature) = token.rsplit_once('.').unwrap();
    let claims = decoded(token.split('.').nth(1).unwrap());
    let jti = claims["jti"].as_str().unwrap();
    let raw = data_encoding::BASE64URL_NOPAD.decode(jti.as_bytes()).unwrap();
    assert!(!dump.windows(32).any(|window| window == raw));
    let hex = data_encoding::HEXLOWER.encode(&raw);
    for secret in
        [token, signature, jti, &hex, EMAIL, "owner@", PASSWORD, SECRET, HOME, "198.51.100", "Firefox", "canary"]
    {
        assert!(!holds(secret), "{secret}");
    }
}

fn decoded(part: &str) -> serde_json::Value {
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A token of these parts, correctly signed with HMAC-SHA-256 whatever its header says.
fn signed(header: &str, claims: &str, secret: &[u8]) -> String {
    use hmac::{KeyInit, Mac};
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", encode(&mac.finalize().into_bytes()))
}

/// A real token's parts, and what a forger who knows the secret could make of them.
struct Forger {
    token: String,
    header: String,
    claims: serde_json::Value,
}

impl Forger {
    fn new(token: &str) -> Self {
        let [header, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        Self { token: token.into(), header: String::from_utf8(base64(header)).unwrap(), claims: decoded(claims) }
    }

    /// The real header over the real claims with one of them replaced by this JSON, or left out.
    fn claim(&self, name: &str, json: Option<&str>) -> String {
        let mut map = self.claims.as_object().unwrap().clone();
        map.remove(name);
        if let Some(json) = json {
            map.insert(name.into(), serde_json::from_str(json).unwrap());
        }
        signed(&self.header, &serde_json::to_string(&map).unwrap(), SECRET.as_bytes())
    }

    fn with_other_headers(&self) -> Vec<(String, String)> {
        let kid = decoded(self.token.split('.').next().unwrap())["kid"].as_str().unwrap().to_owned();
        let claims = self.claims.to_string();
        let mut forged = Vec::new();
        for header in [
            r#"{"typ":"JWT","alg":"none"}"#,
            r#"{"typ":"JWT","alg":"none","kid":"KID"}"#,
            r#"{"typ":"JWT","kid":"KID"}"#,
            r#"{"typ":"JWT","alg":"HS512","kid":"KID"}"#,
            r#"{"typ":"JWT","alg":"RS256","kid":"KID"}"#,
            r#"{"typ":"JWT","alg":"ES256","kid":"KID"}"#,
            r#"{"typ":"JWT","alg":"hs256","kid":"KID"}"#,
            r#"{"typ":"JWT","alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"0000000000000000"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"../../../../dev/null"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":["KID"]}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"KID","jwk":{"kty":"oct","k":"AA"}}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"KID","jku":"https://example.org/"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"KID","crit":["b64"],"b64":false}"#,
        ] {
            let header = header.replace("KID", &kid);
            let unsigned = signed(&header, &claims, b"");
            forged.push((header.clone(), signed(&header, &claims, SECRET.as_bytes())));
            forged
                .push((format!("{header} without a signature"), unsigned[..=unsigned.rfind('.').unwrap()].to_owned()));
            forged.push((format!("{header} signed with nothing"), unsigned));
        }
        for secret in ["", "secret", &SECRET.to_uppercase()] {
            forged.push((format!("signed with {secret:?}"), signed(&self.header, &claims, secret.as_bytes())));
        }
        forged
    }

    fn with_other_claims(&self) -> Vec<(String, String)> {
        let vault = format!("[{}]", self.claims["aud"]);
        let unknown = format!("\"{}\"", data_encoding::BASE64URL_NOPAD.encode(&[7; 32]));
        let mut forged = Vec::new();
        for (name, values) in [
            ("exp", vec![r#""9999999999""#, "null", "-1", "9999999999.5", "true", "[9999999999]", "{}", "1e300"]),
            ("nbf", vec![r#""0""#, "null", "-1", "0.5", "false", "[]", "9999999999"]),
            ("iat", vec![r#""0""#, "null", "-1", "9999999999"]),
            ("iss", vec![r#""other""#, r#"["coffer"]"#, "null", "0", r#""""#]),
            ("aud", vec![r#""other""#, &vault, "null", "0", "[]", r#""""#]),
            ("jti", vec![&unknown, r#""""#, "0", "null", r#""AAAA""#, r#""../..""#]),
        ] {
            for value in values.into_iter().map(Some).chain([None]) {
                forged.push((format!("{name} {value:?}"), self.claim(name, value)));
            }
        }
        forged.push(("one claim more".into(), self.claim("admin", Some("true"))));
        let twice = self.claims.to_string().replacen('{', r#"{"exp":1,"#, 1);
        forged.push(("exp twice".into(), signed(&self.header, &twice, SECRET.as_bytes())));
        forged
    }

    fn in_other_shapes(&self) -> Vec<(String, String)> {
        let token = &self.token;
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        [
            String::new(),
            "..".into(),
            message.into(),
            format!("{message}."),
            format!("{token}.{signature}"),
            format!(" {token}"),
            format!("{token}="),
            format!("{token}\u{e9}"),
            token[..token.len() - 4].into(),
            format!("{header}.{}.{signature}", "A".repeat(2_000)),
            "A".repeat(1_000_000),
        ]
        .into_iter()
        .map(|shape| (shape.chars().take(400).collect(), shape))
        .collect()
    }
}

#[tokio::test]
async fn altered_and_forged_tokens_are_refused() {
    let house = House::new().await;
    let new = house.log_in().await;
    let forger = Forger::new(new.token.expose());
    let harmless = forger.claim("iss", Some(r#""coffer""#));
    assert!(house.sessions.authenticate(&harmless, &client(HOME), EPOCH).await.is_ok(), "the forger knows its trade");
    for (name, token) in [forger.with_other_headers(), forger.with_other_claims(), forger.in_other_shapes()].concat() {
        let answer = house.sessions.authenticate(&token, &client(HOME), EPOCH).await;
        assert_eq!(answer.err(), Some(SessionError::InvalidToken), "{name}");
    }
    let past = forger.claim("exp", Some("1"));
    let answer = house.sessions.authenticate(&past, &client(HOME), EPOCH).await;
    assert_eq!(answer.err(), Some(SessionError::TokenExpired));
    assert!(house.is_living(&new).await, "the real one is untouched by all that");
}

fn base64(part: &str) -> Vec<u8> {
    data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()
}

#[tokio::test]
async fn every_flipped_byte_of_a_token_is_refused() {
    let house = House::new().await;
    let new = house.log_in().await;
    let token = new.token.expose();
    // The last character of the signature holds two bits that are not part of it.
    for position in 0..token.len() - 1 {
        let mut bytes = token.as_bytes().to_vec();
        bytes[position] ^= 1;
        let altered = String::from_utf8(bytes).unwrap();
        let answer = house.sessions.authenticate(&altered, &client(HOME), EPOCH).await;
        assert_eq!(answer.err(), Some(SessionError::InvalidToken), "{position}");
    }
}

#[tokio::test]
async fn nothing_that_holds_a_token_prints_it() {
    let house = House::new().await;
    let new = house.log_in().await;
    let token = new.token.expose();
    let session = house.authenticate(&new).await.unwrap();
    let printed = format!("{new:?} {session:?}");
    let claims = decoded(token.split('.').nth(1).unwrap());
    assert!(!printed.contains(token) && !printed.contains(claims["jti"].as_str().unwrap()));
    assert!(printed.contains("[secret]"));
}
