//! The check as an operator meets it: a whole environment in, a whole report out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::*;

const GOOD: [(&str, &str); 8] = [
    ("USER_EMAIL", "ada@coffer.test"),
    ("USER_PASSWORD", "glide-mosaic-tundra-48"),
    ("JWT_SECRET", "s9Kq0b7vJ2xTfYwE4hZr8mLdNcPaUgVi1oX5tB3kQyR"),
    ("VAULT_KEYS", "main:3q2+7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUtM="),
    ("S3_ENDPOINT", "https://s3.coffer.test"),
    ("S3_BUCKET", "coffer-tests"),
    ("S3_ACCESS_KEY_ID", "GK31c2f218a2e44f485b94239e"),
    ("S3_SECRET_ACCESS_KEY", "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835"),
];

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaQVkzGFkRRcdxEaqM";

fn check(changes: &[(&str, &str)]) -> (Option<Config>, Report) {
    let mut vars: Vec<(&str, &str)> = GOOD.to_vec();
    for (name, value) in changes {
        vars.retain(|(known, _)| known != name);
        vars.push((name, value));
    }
    load(vars.into_iter().map(|(name, value)| (name.into(), value.into())))
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{}: {}", finding.variable, finding.reason)).collect()
}

/// (name, value, the variable that is named, a part of the reason)
type Row = (&'static str, &'static str, &'static str, &'static str);

/// One bad value each, every one with a finding of its own.
const BAD: [Row; 59] = [
    ("USER_EMAIL", "", "USER_EMAIL", "is missing"),
    ("USER_EMAIL", "owner@example.com", "USER_EMAIL", "is the sample"),
    ("USER_EMAIL", "not-an-address", "USER_EMAIL", "is not an e-mail"),
    ("USER_PASSWORD", "", "USER_PASSWORD", "is missing"),
    ("USER_PASSWORD", "change-me-please", "USER_PASSWORD", "is the sample"),
    ("USER_PASSWORD", "Xk7!pQ2$vR9", "USER_PASSWORD", "is shorter than 12"),
    ("USER_PASSWORD", "password12345", "USER_PASSWORD", "is easy to guess"),
    ("USER_PASSWORD", PHC, "USER_PASSWORD", "holds a hash"),
    ("USER_PASSWORD_HASH", PHC, "USER_PASSWORD", "and USER_PASSWORD_HASH too"),
    ("ARGON2_JOBS", "0", "ARGON2_JOBS", "is too small"),
    ("JWT_SECRET", "", "JWT_SECRET", "is missing"),
    ("JWT_SECRET", "replace-me-with-the-output-of-openssl-rand-base64-32", "JWT_SECRET", "holds the sample"),
    ("JWT_SECRET", "correct horse battery staple", "JWT_SECRET", "less than 32 bytes"),
    ("JWT_SECRET", "s9Kq0b7vJ2xTfYwE4hZr8mLdNcPaUgVi1oX5tB3kQyR,", "JWT_SECRET", "has an empty entry"),
    ("SESSION_TTL_DAYS", "a month", "SESSION_TTL_DAYS", "is not a whole number"),
    ("SESSION_IDLE_DAYS", "31", "SESSION_IDLE_DAYS", "is longer than SESSION_TTL_DAYS"),
    ("MAX_SESSIONS", "10001", "MAX_SESSIONS", "is too large"),
    ("MFA_REQUIRED", "yes", "MFA_REQUIRED", "neither true nor false"),
    ("VAULT_KEYS", "", "VAULT_KEYS", "is missing"),
    ("VAULT_KEYS", "mine:cmVwbGFjZSB0aGlzIGtleSBiZWZvcmUgdXNlISEhISE=", "VAULT_KEYS", "holds the sample"),
    ("VAULT_KEYS", "3q2+7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUtM=", "VAULT_KEYS", "without a name"),
    ("VAULT_KEYS", "a b:3q2+7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUtM=", "VAULT_KEYS", "a bad name"),
    ("VAULT_KEYS", "main:3q2+7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUtM", "VAULT_KEYS", "not strict base64"),
    ("VAULT_KEYS", "main:3q2-7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUtM=", "VAULT_KEYS", "not strict base64"),
    ("VAULT_KEYS", "main:3q2+7wAJyT8f5bVxYHqKZ0m1pCw4Rk9sXeGdLhNvUg==", "VAULT_KEYS", "not exactly 32 bytes"),
    ("VAULT_KEYS", "main:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "VAULT_KEYS", "all equal"),
    ("VAULT_KEYS", "main:Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZSBvaz8=", "VAULT_KEYS", "a pass-phrase"),
    ("VAULT_KEYS", "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "VAULT_KEYS", "a pattern"),
    ("S3_ENDPOINT", "", "S3_ENDPOINT", "is missing"),
    ("S3_ENDPOINT", "s3.coffer.test", "S3_ENDPOINT", "is not an http or https URL"),
    ("S3_ENDPOINT", "https://s3.coffer.test/bucket", "S3_ENDPOINT", "more than scheme, host and port"),
    ("S3_ENDPOINT", "https://key:word@s3.coffer.test", "S3_ENDPOINT", "holds a user name or password"),
    ("S3_ENDPOINT", "http://s3.coffer.test", "S3_ENDPOINT", "is http to another machine"),
    ("S3_ENDPOINT", "embedded:", "S3_ENDPOINT", "names no folder"),
    ("S3_ENDPOINT", "embedded:/dev/null/coffer", "S3_ENDPOINT", "not a folder"),
    ("S3_ENDPOINT", "embedded:/etc", "S3_ENDPOINT", "every user of this machine"),
    ("S3_PUBLIC_ENDPOINT", "ftp://s3.coffer.test", "S3_PUBLIC_ENDPOINT", "is not an http or https URL"),
    ("S3_REGION", "eu west", "S3_REGION", "is not a region"),
    ("S3_BUCKET", "Coffer_Bucket", "S3_BUCKET", "is not a bucket"),
    ("S3_PREFIX", "a/../b", "S3_PREFIX", "is not a prefix"),
    ("S3_PATH_STYLE", "maybe", "S3_PATH_STYLE", "neither true nor false"),
    ("S3_ACCESS_KEY_ID", "replace-me", "S3_ACCESS_KEY_ID", "is the sample"),
    ("S3_SECRET_ACCESS_KEY", "minioadmin", "S3_SECRET_ACCESS_KEY", "easy to guess"),
    ("S3_SECRET_ACCESS_KEY", "glide-mosaic-tundra-48", "S3_SECRET_ACCESS_KEY", "the same secret as USER_PASSWORD"),
    ("REDIS_URL", "localhost:6379", "REDIS_URL", "is not a Redis URL"),
    ("REDIS_URL", "redis://:Zr8mLdNcPaUgVi1oX5tB@cache.coffer.test/", "REDIS_URL", "without TLS"),
    ("REDIS_URL", "rediss://cache.coffer.test/", "REDIS_URL", "without a password"),
    ("LEASE_SECS", "121", "LEASE_SECS", "is too large"),
    ("REDIS_TIMEOUT_MS", "15001", "REDIS_TIMEOUT_MS", "longer than the lease"),
    ("ACCEPT_HEAD", "catalog", "ACCEPT_HEAD", "is not an answer"),
    ("MAX_FILE_SIZE", "10 elephants", "MAX_FILE_SIZE", "is not a number of bytes"),
    ("STORAGE_LIMIT", "1", "STORAGE_LIMIT", "is too small"),
    ("BIND", "8080", "BIND", "is not an address"),
    ("PUBLIC_URL", "http://vault.coffer.test", "PUBLIC_URL", "is http for others"),
    ("PUBLIC_URL", "https://vault.coffer.test/app", "PUBLIC_URL", "more than scheme, host and port"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "TRUSTED_PROXIES", "not an address or a network"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "TRUSTED_PROXIES", "trusts everyone"),
    ("LOG_LEVEL", "coffer=loud", "LOG_LEVEL", "is not a level"),
    ("LOG_FORMAT", "xml", "LOG_FORMAT", "neither text nor json"),
];

#[test]
fn good_settings_pass_with_their_defaults() {
    let (config, report) = check(&[]);
    assert_eq!(report, Report::default());
    let config = config.unwrap();
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store.public_endpoint.as_str(), "https://s3.coffer.test/");
    assert_eq!(config.vault.max_file_size, 64 << 30);
    assert_eq!(config.session.ttl_secs, 30 * 86_400);
    assert!(!config.session.secure_cookie && !config.session.mfa_required);
    assert_eq!(config.keys[0].name, "main");
}

#[test]
fn each_bad_setting_has_its_own_finding() {
    for (name, value, variable, reason) in BAD {
        let (config, report) = check(&[(name, value)]);
        assert_eq!(report.findings.len(), 1, "{name}: {report}");
        let finding = &report.findings[0];
        assert_eq!(finding.variable, variable);
        assert!(finding.reason.contains(reason), "{name}: {report}");
        assert!(!finding.hint.is_empty());
        assert_eq!(config.is_some(), finding.severity == Severity::Warning, "{name}");
        assert!(value.len() < 10 || !format!("{report}{report:?}").contains(value), "{name}: the value is printed");
    }
}

#[test]
fn strangers_with_more_than_the_owner_are_a_warning() {
    for (name, value) in [("STRANGER_REQUESTS", "10001"), ("STRANGER_UPLOADS", "20001"), ("OWNER_REQUESTS", "99")] {
        let (config, report) = check(&[(name, value)]);
        assert!(config.is_some());
        assert_eq!(report.findings.len(), 1, "{report}");
        assert!(report.findings[0].reason.contains("more than the owner"), "{report}");
    }
    let (_, report) = check(&[("STRANGER_REQUESTS", "10000"), ("STRANGER_UPLOADS", "20000")]);
    assert!(report.findings.is_empty(), "{report}");
}

#[test]
fn other_origins_are_named_one_by_one_and_come_by_https() {
    for (value, reason) in [
        ("*", "every page"),
        ("https://app.example.org,*", "every page"),
        ("https://*.example.org", "not an origin"),
        ("https://app.example.org/", "not an origin"),
        ("https://app.example.org/path", "not an origin"),
        ("https://App.example.org", "not an origin"),
        ("https://app.example.org:443", "not an origin"),
        ("app.example.org", "not an origin"),
        ("null", "not an origin"),
        ("file:///", "not an origin"),
        ("http://app.example.org", "without https"),
        ("https://app.example.org,", "not an origin"),
    ] {
        let (config, report) = check(&[("CORS_ORIGINS", value)]);
        assert!(config.is_none(), "{value}");
        assert!(report.findings.iter().any(|finding| finding.reason.contains(reason)), "{value}: {report}");
    }
    let (config, report) = check(&[("CORS_ORIGINS", "https://app.example.org, http://localhost:5173")]);
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!(config.unwrap().http.cors_origins, ["https://app.example.org", "http://localhost:5173"]);
    let (config, _) = check(&[]);
    assert!(config.unwrap().http.cors_origins.is_empty());
}

#[test]
fn metrics_are_for_this_machine_or_for_a_token() {
    const TOKEN: (&str, &str) = ("METRICS_TOKEN", "u7Wq3ZkX1vB9nM5cT0yRfPsD2hJgL8aE");
    for (bind, token, reason) in [
        ("0.0.0.0:9090", None, Some("without METRICS_TOKEN")),
        ("[::]:9090", None, Some("without METRICS_TOKEN")),
        ("localhost:9090", None, Some("not an address")),
        ("127.0.0.1:9090", None, None),
        ("0.0.0.0:9090", Some(TOKEN), None),
    ] {
        let changes: Vec<_> = [("METRICS_BIND", bind)].into_iter().chain(token).collect();
        let (config, report) = check(&changes);
        assert_eq!(config.is_some(), reason.is_none(), "{bind}: {report}");
        assert!(reason.is_none_or(|reason| report.to_string().contains(reason)), "{bind}: {report}");
    }
}

#[test]
fn all_bad_settings_are_reported_at_once() {
    let mut changes: Vec<(&str, &str)> = Vec::new();
    let mut expected = Vec::new();
    for (name, value, variable, reason) in BAD {
        // One value for each variable; the two ways to give a password exclude each other.
        if name != "USER_PASSWORD_HASH" && !changes.iter().any(|(known, _)| *known == name) {
            changes.push((name, value));
            expected.push((variable, reason));
        }
    }
    changes.extend([
        ("TRASH_DAYS", "0"),
        ("RETENTION_DAYS", "-1"),
        ("LOGIN_LIMIT", "many"),
        ("LOGIN_WINDOW_SECS", "9"),
        ("OWNER_REQUESTS", "9"),
        ("OWNER_UPLOADS", "0"),
        ("STRANGER_REQUESTS", "0"),
        ("STRANGER_UPLOADS", "10000001"),
        ("REQUEST_WINDOW_SECS", "9"),
        ("UPLOAD_WINDOW_SECS", "86401"),
        ("CONCURRENT_UPLOADS", "0"),
        ("HEADER_TIMEOUT_SECS", "121"),
        ("REQUEST_TIMEOUT_SECS", "0"),
        ("DRAIN_SECS", "601"),
        ("MAX_CONNECTIONS", "7"),
        ("MAX_JSON_SIZE", "1GiB"),
        ("CORS_ORIGINS", "*"),
        ("METRICS_TOKEN", "metrics"),
        ("METRICS_BIND", "9090"),
        ("API_DOCS", "yes"),
        ("STATE_DIR", "/dev/null/coffer"),
        ("VAULT_KEY", "x"),
    ]);
    let (config, report) = check(&changes);
    assert!(config.is_none());
    for (variable, reason) in expected {
        let found =
            report.findings.iter().any(|finding| finding.variable == variable && finding.reason.contains(reason));
        // The lease is out of bounds here too, so its length can't be held against the timeout of Redis.
        assert!(found || variable == "REDIS_TIMEOUT_MS" || variable == "SESSION_IDLE_DAYS", "{variable}: {report}");
    }
    assert!(report.findings.len() >= 47, "{} findings: {report}", report.findings.len());
}

#[test]
fn the_example_file_lacks_nothing_but_its_secrets() {
    let variables = parse_env_file(EXAMPLE_ENV_FILE).unwrap();
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, raw::NAMES.iter().map(String::as_str).collect::<Vec<_>>(), "every variable, in order");

    let (config, report) = load(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    assert!(config.is_none());
    assert_eq!(
        lines(&report),
        [
            "JWT_SECRET: holds the sample published in .env.example",
            "S3_ACCESS_KEY_ID: is the sample published in .env.example",
            "S3_SECRET_ACCESS_KEY: is the sample published in .env.example",
            "USER_EMAIL: is the sample published in .env.example",
            "USER_PASSWORD: is the sample published in .env.example",
            "VAULT_KEYS: holds the sample published in .env.example",
        ]
    );
}

#[test]
fn the_example_file_shows_the_defaults() {
    let optional = parse_env_file(EXAMPLE_ENV_FILE)
        .unwrap()
        .into_iter()
        .filter(|(name, _)| !GOOD.iter().any(|(given, _)| given == name) && name != "S3_ENDPOINT");
    let given: Vec<(String, String)> = optional.collect();
    let changes: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (shown, report) = check(&changes);
    assert_eq!(report, Report::default());
    assert_eq!(format!("{:?}", shown.unwrap()), format!("{:?}", check(&[]).0.unwrap()));
}

#[test]
fn the_operators_page_lists_every_setting_with_its_default() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for (name, value) in parse_env_file(EXAMPLE_ENV_FILE).unwrap() {
        let is_chosen = GOOD.iter().any(|(given, _)| *given == name);
        let default = match value.as_str() {
            _ if is_chosen => "(you choose)".to_owned(),
            "" => String::new(),
            value => format!("`{value}`"),
        };
        assert!(page.contains(&format!("| `{name}` | {default} | ")), "{name}");
    }
}

#[test]
fn a_published_value_is_no_secret_anywhere() {
    for name in ["USER_PASSWORD", "JWT_SECRET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] {
        for sample in [
            "replace-me-with-the-output-of-openssl-rand-hex-32",
            "REPLACE-ME",
            "cmVwbGFjZSB0aGlzIGtleSBiZWZvcmUgdXNlISEhISE=",
        ] {
            let (_, report) = check(&[(name, sample)]);
            assert_eq!(report.findings.len(), 1, "{name}: {report}");
            assert!(report.findings[0].reason.contains("the sample"), "{name}: {report}");
        }
    }
}

#[test]
fn no_two_secrets_may_be_the_same() {
    let jwt = GOOD[2].1;
    for (name, value, line) in [
        ("USER_PASSWORD", jwt.to_owned(), "JWT_SECRET: is the same secret as USER_PASSWORD"),
        ("S3_SECRET_ACCESS_KEY", jwt.to_owned(), "JWT_SECRET: is the same secret as S3_SECRET_ACCESS_KEY"),
        ("JWT_SECRET", format!("{jwt},{jwt}"), "JWT_SECRET: holds the same secret twice"),
        ("JWT_SECRET", GOOD[3].1[5..].to_owned(), "VAULT_KEYS: is the same secret as JWT_SECRET"),
        ("VAULT_KEYS", format!("new:{0},old:{0}", &GOOD[3].1[5..]), "VAULT_KEYS: holds the same secret twice"),
        ("REDIS_URL", format!("rediss://:{jwt}@cache.coffer.test/"), "JWT_SECRET: is the same secret as REDIS_URL"),
    ] {
        assert_eq!(lines(&check(&[(name, &value)]).1), [line]);
    }
}

#[test]
fn password_hashes_are_held_to_owasps_parameters() {
    let hash = |params: &str| PHC.replace("m=19456,t=2,p=1", params);
    for (text, reason) in [
        (PHC.to_owned(), None),
        (hash("m=47104,t=1,p=1"), None),
        (hash("m=12288,t=3,p=1"), None),
        (hash("m=7168,t=5,p=1"), None),
        (hash("m=1048576,t=32,p=16"), None),
        (hash("m=19455,t=2,p=1"), Some("weaker than OWASP")),
        (hash("m=47104,t=0,p=1"), Some("is damaged")),
        (hash("m=19456,t=1,p=1"), Some("weaker than OWASP")),
        (hash("m=7167,t=5,p=1"), Some("weaker than OWASP")),
        (hash("m=1048577,t=2,p=1"), Some("too much work")),
        (hash("m=19456,t=33,p=1"), Some("too much work")),
        (hash("m=19456,t=2,p=17"), Some("too much work")),
        (PHC.replace("v=19", "v=16"), Some("old version")),
        (PHC.replace("argon2id", "argon2i"), Some("is not an Argon2id hash")),
        (PHC[..PHC.len() - 44].to_owned(), Some("is damaged")),
        (PHC.replace("$c29tZXNhbHRzb21lc2FsdA", "$c29tZXNh"), Some("is damaged")),
        ("=19=19456,t=2,p=1".to_owned(), Some("is not an Argon2id hash")),
        ("$2b$12$KIXQJ0YQ0YQ0YQ0YQ0YQ0e".to_owned(), Some("is not an Argon2id hash")),
    ] {
        let (config, report) = check(&[("USER_PASSWORD", ""), ("USER_PASSWORD_HASH", &text)]);
        assert_eq!(report.findings.is_empty(), reason.is_none(), "{text}: {report}");
        assert!(reason.is_none_or(|reason| report.findings[0].reason.contains(reason)), "{text}: {report}");
        assert!(reason.is_some() || matches!(config.unwrap().owner.password, Password::Phc(_)));
    }
}

#[test]
fn addresses_on_this_machine_need_neither_tls_nor_password() {
    for (name, value) in [
        ("PUBLIC_URL", "http://localhost:9000"),
        ("PUBLIC_URL", "http://[::1]:9000"),
        ("PUBLIC_URL", "http://vault.localhost"),
        ("PUBLIC_URL", "https://vault.coffer.test"),
        ("S3_ENDPOINT", "http://127.0.0.1:3900"),
        ("REDIS_URL", "redis://localhost:6379/"),
        ("REDIS_URL", "redis://[::1]/"),
        ("REDIS_URL", "redis+unix:///run/redis/redis.sock"),
        ("REDIS_URL", "rediss://:Zr8mLdNcPaUgVi1oX5tB@cache.coffer.test/"),
    ] {
        let (config, report) = check(&[(name, value)]);
        assert_eq!(report, Report::default(), "{value}");
        assert_eq!(config.unwrap().session.secure_cookie, value == "https://vault.coffer.test");
    }
}

#[test]
fn an_embedded_bucket_is_reached_under_the_public_url() {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    let endpoint = format!("embedded:{}", folder.path().display());
    let (config, report) = check(&[("S3_ENDPOINT", &endpoint), ("PUBLIC_URL", "https://vault.coffer.test")]);
    assert_eq!(report, Report::default());
    let store = config.unwrap().store;
    assert_eq!(store.endpoint, Endpoint::Embedded(folder.path().to_path_buf()));
    assert_eq!(store.public_endpoint.as_str(), "https://vault.coffer.test/");
    for (name, value) in [("S3_PATH_STYLE", "false"), ("S3_BUCKET", "api"), ("S3_BUCKET", "openapi.json")] {
        assert_eq!(lines(&check(&[("S3_ENDPOINT", &endpoint), (name, value)]).1).len(), 1, "{name}");
        assert_eq!(lines(&check(&[(name, value)]).1), [""; 0], "elsewhere {name} is fine");
    }
}

#[test]
fn values_that_are_not_unicode_are_findings() {
    let vars = [
        (OsString::from("USER_PASSWORD"), OsString::from_vec(vec![0xff, 0xfe])),
        (OsString::from("SOMETHING_ELSE"), OsString::from_vec(vec![0xff])),
        (OsString::from_vec(vec![0xff]), OsString::from("x")),
    ];
    let (config, report) = load(vars.into_iter());
    assert!(config.is_none());
    assert!(lines(&report).contains(&"USER_PASSWORD: is not valid UTF-8".to_owned()));
}

#[test]
fn every_variable_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut vars = Vec::new();
    for (name, value) in GOOD {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{value}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        vars.push((OsString::from(format!("{name}_FILE")), path.into_os_string()));
    }
    let (config, report) = load(vars.clone().into_iter());
    assert_eq!(report, Report::default());
    assert_eq!(config.unwrap().session.jwt_secrets[0].expose(), GOOD[2].1);

    std::fs::write(folder.path().join("VAULT_KEYS"), "x".repeat(64 * 1024 + 1)).unwrap();
    std::fs::write(folder.path().join("USER_EMAIL"), "").unwrap();
    std::fs::remove_file(folder.path().join("S3_BUCKET")).unwrap();
    vars.push(("JWT_SECRET".into(), GOOD[2].1.into()));
    let (_, report) = load(vars.into_iter());
    for line in [
        "JWT_SECRET: is set, and JWT_SECRET_FILE too",
        "S3_BUCKET_FILE: names a file that can't be read (entity not found)",
        "USER_EMAIL_FILE: names an empty file",
        "VAULT_KEYS_FILE: names a file of more than 64 KiB",
    ] {
        assert!(lines(&report).contains(&line.to_owned()), "{line}: {report}");
    }
}

#[test]
fn no_report_ever_shows_a_value() {
    const CANARY: &str = "Canary5x:q,7/z@";
    for name in raw::NAMES.iter() {
        for value in [
            CANARY.to_owned(),
            format!("{CANARY}{CANARY}"),
            format!("https://{CANARY}.test"),
            format!("$argon2id${CANARY}"),
        ] {
            let (config, report) = check(&[(name, &value)]);
            let printed = format!("{report}{report:?}{}", serde_json::to_string(&report).unwrap());
            assert!(!printed.contains("anary5x"), "{name}: {printed}");
            let is_secret = raw::SECRETS.contains(&name.as_str());
            assert!(!is_secret || !format!("{config:?}").contains("anary5x"), "{name}");
        }
    }
    let printed = format!("{:?}", check(&[]).0);
    for (name, value) in GOOD.iter().filter(|(name, _)| raw::SECRETS.contains(name)) {
        assert!(!printed.contains(value), "{name} is printed: {printed}");
    }
}
