//! Builds again when a file appears that a macro reads: cargo sees changed files, not new ones.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=templates");
}
