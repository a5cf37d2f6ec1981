//! Rules that no lint knows: the floors of the design, the size of files, and words that do not belong into them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics where it stands")]

use std::path::{Path, PathBuf};

/// What each part may import, besides itself. Parts that are not named here may not exist.
const FLOORS: [(&str, &[&str]); 14] = [
    ("config", &[]),
    ("telemetry", &["config"]),
    ("crypto", &[]),
    ("state", &["crypto", "config", "telemetry"]),
    ("store", &["crypto", "config", "telemetry"]),
    ("log", &["store", "state", "crypto", "config", "telemetry"]),
    ("vault", &["log", "store", "state", "crypto", "config", "telemetry"]),
    ("owner", &["vault", "log", "store", "state", "crypto", "config", "telemetry"]),
    ("session", &["owner", "vault", "log", "store", "state", "crypto", "config", "telemetry"]),
    ("audit", &["owner", "vault", "log", "store", "state", "crypto", "config", "telemetry"]),
    ("api", &["session", "audit", "owner", "vault", "log", "store", "state", "crypto", "config", "telemetry"]),
    ("dav", &["session", "audit", "owner", "vault", "log", "store", "state", "crypto", "config"]),
    ("web", &["session", "audit", "owner", "vault", "log", "store", "state", "crypto", "config"]),
    (
        "cmd",
        &[
            "api",
            "dav",
            "web",
            "session",
            "audit",
            "owner",
            "vault",
            "log",
            "store",
            "state",
            "crypto",
            "config",
            "telemetry",
        ],
    ),
];

const MAX_LINES: usize = 500;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "misc", "manager", "service"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Our sources, each with its path from the repository's folder; modules for tests alone are left out.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let files: Vec<PathBuf> = folders.iter().flat_map(|folder| rust_files(&root().join(folder))).collect();
    let texts: Vec<(PathBuf, String)> = files.into_iter().map(|path| (path.clone(), read(&path))).collect();
    let tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_product =
        |path: &Path| !tests.iter().any(|module| path == module.with_extension("rs") || path.starts_with(module));
    let products = texts.into_iter().filter(|(path, _)| is_product(path));
    products.map(|(path, text)| (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text)).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The modules that a file declares for tests alone, as paths without extension.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    let folder = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let mut lines = text.lines().skip_while(|line| line.trim() != "#[cfg(test)]");
    let mut modules = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let mut rest = lines.clone().map(str::trim).skip_while(|line| line.starts_with("#["));
            let name = rest.next().and_then(|line| line.strip_suffix(';')?.split("mod ").nth(1));
            modules.extend(name.map(|name| folder.join(name)));
        }
    }
    modules
}

/// The text in front of the unit tests.
fn product(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap()
}

/// The lines that are code, not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn each_part_imports_only_lower_floors() {
    let mut offences = Vec::new();
    for (name, text) in sources(&["src"]) {
        let part = name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap();
        if matches!(part, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = FLOORS.iter().find(|(known, _)| *known == part) else {
            offences.push(format!("{name}: the design knows no part called {part}"));
            continue;
        };
        for line in code(product(&text)) {
            for imported in line.split("crate::").skip(1) {
                let names: Vec<&str> = match imported.strip_prefix('{') {
                    Some(list) => {
                        list.split([',', '}', ';']).map(|item| item.trim().split("::").next().unwrap()).collect()
                    }
                    None => vec![imported.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()],
                };
                let is_floor = |name: &&str| FLOORS.iter().any(|(known, _)| known == name);
                for imported in names.into_iter().filter(is_floor) {
                    if imported != part && !allowed.contains(&imported) {
                        offences.push(format!("{name}: {part} may not import {imported}"));
                    }
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn crypto_does_no_input_or_output_and_only_config_reads_the_environment() {
    let mut offences = Vec::new();
    for (name, text) in sources(&["src"]) {
        for line in code(product(&text)) {
            let in_crypto = name.starts_with("src/crypto/");
            if in_crypto
                && ["std::fs", "std::net", "std::time", "tokio", "async fn"].iter().any(|word| line.contains(word))
            {
                offences.push(format!("{name}: {line}"));
            }
            let may_read = name.starts_with("src/config/") || name == "src/cmd/settings.rs";
            if !may_read && (line.contains("env::var") || line.contains("vars_os")) {
                offences.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn urls_are_signed_for_others_behind_one_door() {
    let may_sign = |name: &str| name.starts_with("src/store/") || name == "src/vault/grant.rs";
    let products = sources(&["src"]).into_iter().filter(|(name, _)| !may_sign(name));
    let offences: Vec<String> = products
        .filter(|(_, text)| code(product(text)).any(|line| line.contains(".presign_")))
        .map(|(name, _)| format!("{name}: signs a URL that Vault::grant does not know of"))
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn ids_of_requests_become_nodes_where_the_reach_of_the_caller_is_known() {
    let products = sources(&["src"]).into_iter().filter(|(name, _)| name != "src/api/reach.rs");
    let offences: Vec<String> = products
        .filter(|(_, text)| code(product(text)).any(|line| line.contains(".unchecked()")))
        .map(|(name, _)| format!("{name}: takes a node's id from a request without Caller::node"))
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn files_are_short_documented_and_named_for_what_they_hold() {
    let mut offences = Vec::new();
    for (name, text) in sources(&["src", "xtask/src"]) {
        let lines = product(&text).lines().count();
        if lines > MAX_LINES {
            offences.push(format!("{name}: {lines} lines before its tests, at most {MAX_LINES}"));
        }
        if !text.starts_with("//! ") {
            offences.push(format!("{name}: does not open with //!"));
        }
        let stem = Path::new(&name).file_stem().unwrap().to_str().unwrap();
        let folder = Path::new(&name).parent().unwrap().file_name().unwrap().to_str().unwrap();
        if EMPTY_NAMES.contains(&stem) || EMPTY_NAMES.contains(&folder) {
            offences.push(format!("{name}: the name says nothing"));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let mut offences = Vec::new();
    for (name, text) in sources(&["src", "xtask/src", "tests"]) {
        for (index, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.split(|c: char| !c.is_alphanumeric()).any(|token| token == word)) {
                offences.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
