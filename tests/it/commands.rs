//! The program's verbs as an operator types them: exit status, output, files.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::kit::TestRedis;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");

/// Runs `coffer` in `folder` with these arguments and variables and nothing else of the environment.
fn coffer(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(folder, arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn init(folder: &Path) -> Output {
    coffer(folder, &["init", "--email", "ada@coffer.test"], &[])
}

#[test]
fn the_example_through_check_names_the_secrets_to_replace() {
    let folder = tempfile::tempdir().unwrap();
    let output = coffer(folder.path(), &["--env-file", EXAMPLE, "check", "--json"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        answer["findings"].as_array().unwrap().iter().map(|it| it["variable"].as_str().unwrap()).collect();
    let secrets =
        ["JWT_SECRET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "USER_EMAIL", "USER_PASSWORD", "VAULT_KEYS"];
    assert_eq!(names, secrets);
    assert_eq!(answer["ok"], false);
}

#[test]
fn a_fresh_env_file_passes_with_its_hash_intact_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path());
    assert!(made.status.success(), "{}", text(&made));
    let path = folder.path().join(".env");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.contains("'$argon2id$v=19$m=19456,t=2,p=1$"), "{written}");

    let checked = coffer(folder.path(), &["--env-file", ".env", "check"], &[]);
    assert_eq!((checked.status.code(), text(&checked).as_str()), (Some(0), "The settings are good.\n"));

    assert_eq!(init(folder.path()).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
}

#[tokio::test]
async fn a_probe_asks_redis_and_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let mut redis = TestRedis::private().await;
    let arguments = ["--env-file", ".env", "check", "--probe", "--json"];
    let url = redis.url().to_owned();
    let ask = || {
        let output = coffer(folder.path(), &arguments, &[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "500")]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer)
    };
    let (status, answer) = ask();
    assert_eq!((status, &answer["findings"]), (Some(0), &serde_json::json!([])));
    assert_eq!(answer["bucket"]["refuses_wrong_bytes"], true);

    redis.kill();
    let (status, answer) = ask();
    assert_eq!((status, &answer["findings"][0]["variable"]), (Some(1), &"REDIS_URL".into()), "{answer}");
}

#[test]
fn the_environment_goes_before_the_file_and_an_open_file_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let arguments = ["--env-file", ".env", "check"];
    let output = coffer(folder.path(), &arguments, &[("BIND", "nonsense")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("BIND: is not an address with a port"), "{}", text(&output));

    std::fs::set_permissions(folder.path().join(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = coffer(folder.path(), &arguments, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("warning --env-file: holds secrets"), "{}", text(&output));
}

#[test]
fn an_unreadable_or_damaged_file_is_a_finding_that_shows_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = coffer(folder.path(), &["--env-file", "absent", "check"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("--env-file: can't be read"), "{}", text(&output));

    std::fs::write(folder.path().join(".env"), "# fine\nexport JWT_SECRET=canary-in-a-line\n").unwrap();
    let output = coffer(folder.path(), &["--env-file", ".env", "check"], &[]);
    assert!(text(&output).contains("--env-file: line 2"), "{}", text(&output));
    assert!(!text(&output).contains("canary"), "{}", text(&output));
}

#[test]
fn no_verb_prints_a_value_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let canary = "Canary5x:q,7/z@";
    let names: Vec<String> = std::fs::read_to_string(EXAMPLE)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), canary)).collect();
    let files: Vec<(String, &str)> = names.iter().map(|name| (format!("{name}_FILE"), canary)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, path)| (name.as_str(), *path)).collect();
    for arguments in [["check"].as_slice(), &["check", "--json"]] {
        for variables in [&variables, &files] {
            let output = coffer(folder.path(), arguments, variables);
            assert_eq!(output.status.code(), Some(1));
            assert!(!text(&output).contains("anary5x"), "{}", text(&output));
        }
    }
}

#[test]
fn hash_password_reads_the_standard_input_and_refuses_what_check_would() {
    let folder = tempfile::tempdir().unwrap();
    for (password, is_fine) in [("glide-mosaic-tundra-48\n", true), ("password1234\n", false), ("", false)] {
        let mut command = command(folder.path(), &["hash-password"]);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.success(), is_fine, "{}", text(&output));
        assert_eq!(output.stdout.starts_with(b"$argon2id$v=19$m=19456,t=2,p=1$"), is_fine);
        assert!(password.is_empty() || !text(&output).contains(password.trim()));
    }
}
