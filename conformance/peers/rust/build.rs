//! The version of posthog-rs that Cargo.lock names: the worker says it in its hello.

fn main() {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let version = lock.split("[[package]]").find(|package| package.contains("name = \"posthog-rs\""));
    let version = version.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    println!("cargo:rustc-env=POSTHOG_RS_VERSION={}", version.unwrap_or("unknown"));
    println!("cargo:rerun-if-changed=Cargo.lock");
}
