//! Tells cargo that a release has the browser app inside: it is built again when `web/dist` changes. A development
//! build reads the app while it runs, and depends on nothing.

fn main() {
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo:rerun-if-changed={}", if is_release { "web/dist" } else { "build.rs" });
}
