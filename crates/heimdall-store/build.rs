//! Says that the embedded migrations follow from the folder, so that a new file is seen without a clean build.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
