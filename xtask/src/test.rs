//! `cargo xtask test`: everything that CI checks, step by step, with a summary.
//!
//! A step that is a check counts as one; a step that runs tests counts its tests. All steps run, also after a failure.

use clap::Args;

use crate::counts::Counts;
use crate::garage;
use crate::program::{Program, cargo, find, program};
use crate::{rclone, web};

/// The arguments of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Test {
    /// Run the long forms of the tests too (crashes, take-overs): some hours
    #[arg(long)]
    long: bool,

    /// Instead of all that, the integration and browser tests on a real Garage, built once into the user's cache
    #[arg(long)]
    garage: bool,

    /// Instead of all that, how far `rclone serve s3` goes as the bucket; rclone comes once into the user's cache
    #[arg(long, conflicts_with = "garage")]
    rclone: bool,
}

/// How a step is judged.
enum Judge {
    /// One check: it passes or fails as a whole.
    Check,
    /// A test runner whose summary is counted.
    Tests,
}

/// One thing that is run and judged.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    judge: Judge,
    pub(crate) program: Result<Program, String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<(), String> {
        if self.garage {
            return garage::test(self.long);
        }
        if self.rclone {
            return rclone::test();
        }
        let steps = self.steps();
        let total = steps.len();
        let mut counts = Counts::default();
        let mut failures = Vec::new();
        for (index, step) in steps.into_iter().enumerate() {
            println!("\n==> [{}/{total}] {}", index + 1, step.name);
            let name = step.name;
            let (seen, result) = step.run();
            counts.add(seen);
            if let Err(reason) = result {
                println!("==> {name} FAILED: {reason}");
                failures.push(name);
            }
        }
        println!();
        for skipped in skipped() {
            println!("skipped: {skipped}");
        }
        if !failures.is_empty() {
            println!("failed: {}", failures.join(", "));
        }
        println!("{} passed, {} failed", counts.passed, counts.failed);
        if failures.is_empty() { Ok(()) } else { Err("not everything passed".to_owned()) }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![
            Step::check("format", cargo(["fmt", "--all", "--check"])),
            Step::check(
                "clippy",
                cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
            ),
            Step::check("documentation", documentation()),
        ];
        if find("cargo-deny").is_some() {
            steps
                .push(Step::check("dependencies", cargo(["deny", "--locked", "check", "bans", "licenses", "sources"])));
            if cargo(["deny", "fetch", "db"]).succeeds() {
                steps.push(Step::check("advisories", cargo(["deny", "--locked", "check", "advisories"])));
            }
        }
        steps.push(Step::tests("tests", self.long(tests())));
        steps.push(Step::tests("doc tests", cargo(["test", "--doc", "--workspace", "--locked"])));
        let ourselves = std::env::current_exe().map_err(|error| error.to_string());
        let fresh = ourselves.map(|xtask| program(xtask, ["openapi", "--check"]));
        steps.push(Step { name: "openapi/coffer.json is fresh", judge: Judge::Check, program: fresh });
        // Makes a Python environment of its own on the first call.
        if find("python3").is_some() {
            steps.push(Step::tests("interoperability (Python)", program("tests/interop/run", [""; 0])));
            steps.push(Step::check("schemathesis", self.long(program("tests/schemathesis/run", [""; 0]))));
        }
        steps.extend(web::steps(|program| self.long(program)));
        steps
    }

    fn long(&self, program: Program) -> Program {
        if self.long { program.env("COFFER_LONG", "1") } else { program }
    }
}

impl Step {
    /// One check.
    pub(crate) fn check(name: &'static str, program: Program) -> Self {
        Self { name, judge: Judge::Check, program: Ok(program) }
    }

    /// A runner of tests.
    pub(crate) fn tests(name: &'static str, program: Program) -> Self {
        Self { name, judge: Judge::Tests, program: Ok(program) }
    }

    fn run(self) -> (Counts, Result<(), String>) {
        let mut seen = Counts::default();
        let result = self
            .program
            .and_then(|program| program.run_watched(|line| seen.add(Counts::of_line(line).unwrap_or_default())));
        match (self.judge, &result) {
            (Judge::Check, Ok(())) => seen = Counts { passed: 1, failed: 0 },
            (Judge::Check, Err(_)) => seen = Counts { passed: 0, failed: 1 },
            // A runner that failed without a summary, or did not build.
            (Judge::Tests, Err(_)) if seen.failed == 0 => seen.failed = 1,
            (Judge::Tests, _) => {}
        }
        (seen, result)
    }
}

fn documentation() -> Program {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
    cargo(arguments).env("RUSTDOCFLAGS", "-D warnings")
}

fn tests() -> Program {
    if find("cargo-nextest").is_some() {
        return cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--status-level", "slow"]);
    }
    cargo(["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"])
}

fn skipped() -> Vec<&'static str> {
    let mut skipped = Vec::new();
    if find("cargo-deny").is_none() {
        skipped.push("dependencies: cargo-deny is not installed (cargo install cargo-deny)");
    }
    if find("python3").is_none() {
        skipped.push("interoperability and schemathesis: python3 is not installed");
    }
    skipped.extend(web::skipped());
    skipped
}
