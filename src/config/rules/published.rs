//! The sample values: `.env.example` is public, so nothing in it can be a secret.
//!
//! They are read from the file itself, so that file and check can't drift apart.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::config::env_file::parse_env_file;

/// `.env.example` as it was when this program was built.
pub const EXAMPLE_ENV_FILE: &str = include_str!("../../../.env.example");

static PUBLISHED: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let variables = parse_env_file(EXAMPLE_ENV_FILE).expect("the tests read .env.example as every start does");
    let entries = |value: &str| value.split(',').map(|entry| entry.trim().to_owned()).collect::<Vec<_>>();
    let values = variables.into_iter().flat_map(|(_, value)| {
        let mut texts = entries(&value);
        // A key of VAULT_KEYS is published under any name.
        texts.extend(entries(&value).iter().filter_map(|entry| Some(entry.split_once(':')?.1.to_owned())));
        texts.push(value);
        texts
    });
    values.filter(|text| !text.is_empty()).map(|text| text.to_lowercase()).collect()
});

/// Whether `text` stands in `.env.example` as a value, as an entry of a list or as a named key, in any case.
pub(super) fn is_published(text: &str) -> bool {
    PUBLISHED.contains(&text.to_lowercase())
}
