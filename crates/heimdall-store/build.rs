//! Says that the embedded migrations follow from the folder, so that a new file is seen without a clean build.

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
