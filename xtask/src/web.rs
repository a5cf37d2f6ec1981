//! The steps for `web/`: packages, API types, linter, types, tests in Node, build, and tests in a real Chromium.

use std::path::Path;
use std::time::SystemTime;

use crate::program::{Program, built, find, program, root};
use crate::test::Step;

/// The oldest Node that the tools run on.
const NODE: (u32, u32) = (20, 19);

/// What the tests in the browser are called.
const IN_CHROMIUM: &str = "web: tests in Chromium";

/// What Chromium is called, where it is not named by `CHROMIUM`.
const CHROMIUM: [&str; 2] = ["chromium", "chromium-browser"];

/// What can be done with the tools that are there; `adapt` changes the steps that run tests.
pub(crate) fn steps(adapt: impl Fn(Program) -> Program) -> Vec<Step> {
    if without_node().is_some() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    if !has_packages() {
        steps.push(packages());
    }
    steps.extend([
        Step::check("web: the API's types are fresh", npm(["run", "--silent", "api:check"])),
        Step::check("web: linter", npm(["run", "--silent", "lint"])),
        Step::check("web: types", npm(["run", "--silent", "check"])),
        Step::tests("web: tests", npm(["run", "--silent", "test"])),
        Step::check("web: build", npm(["run", "--silent", "build"])),
    ]);
    steps.extend(in_chromium().map(|browser| Step::tests(IN_CHROMIUM, adapt(browser))));
    steps
}

/// Builds the app into `web/dist/app`, from where the program takes it; the answer is why that can't be done.
pub(crate) fn build() -> Result<Option<&'static str>, String> {
    if let Some(reason) = without_node() {
        return Ok(Some(reason));
    }
    if !has_packages() {
        npm(["ci", "--no-progress"]).run()?;
    }
    npm(["run", "--silent", "build"]).run()?;
    Ok(None)
}

/// The tests in Chromium and what they cannot do without.
pub(crate) fn browser_steps() -> Vec<Step> {
    let Some(browser) = in_chromium().filter(|_| without_node().is_none()) else { return Vec::new() };
    let packages = (!has_packages()).then(packages);
    packages.into_iter().chain([Step::tests(IN_CHROMIUM, browser)]).collect()
}

fn packages() -> Step {
    Step::check("web: packages", npm(["ci", "--no-progress"]))
}

fn in_chromium() -> Option<Program> {
    let tests = npm(["run", "--silent", "e2e"]).env("COFFER_BIN", built("debug/coffer"));
    chromium().map(|chromium| tests.env("CHROMIUM", chromium))
}

/// Why some of it is not done.
pub(crate) fn skipped() -> Option<&'static str> {
    let without_chromium = "web: tests in Chromium: it is not installed (Debian, Ubuntu: apt install chromium)";
    without_node().or_else(|| chromium().is_none().then_some(without_chromium))
}

fn without_node() -> Option<&'static str> {
    let version = find("npm").and(find("node")).and_then(|node| program(node, ["--version"]).output().ok());
    match version.map(|text| parse_version(&String::from_utf8_lossy(&text))) {
        Some(Some(version)) if version >= NODE => None,
        Some(_) => Some("web: Node is too old: 20.19 or newer is needed (https://nodejs.org/en/download)"),
        None => Some("web: Node 20.19 or newer and npm are not installed (https://nodejs.org/en/download)"),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn npm<const N: usize>(arguments: [&str; N]) -> Program {
    program("npm", ["--prefix", "web"].into_iter().chain(arguments))
}

fn chromium() -> Option<std::ffi::OsString> {
    std::env::var_os("CHROMIUM").or_else(|| CHROMIUM.into_iter().find_map(find).map(Into::into))
}

/// Whether npm has installed what the lock file names: it writes down what it did, after the lock file was changed.
fn has_packages() -> bool {
    let modified = |path: &str| -> Option<SystemTime> { Path::new(root()).join(path).metadata().ok()?.modified().ok() };
    let installed = modified("web/node_modules/.package-lock.json");
    installed.is_some_and(|installed| modified("web/package-lock.json").is_some_and(|lock| lock <= installed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_tells_its_version() {
        assert_eq!(parse_version("v20.19.0\n"), Some((20, 19)));
        assert_eq!(parse_version("v26.1.2-nightly"), Some((26, 1)));
        assert_eq!(parse_version("20.19.0"), None);
        assert_eq!(parse_version(""), None);
        assert!((20, 18) < NODE && (22, 0) > NODE);
    }
}
