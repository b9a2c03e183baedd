//! What the documents tell people to type works as it stands there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::program::{free_port, home, serve};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Returns the blocks of a document that are for a shell.
fn shell_blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(DOCS).join(document)).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_quick_start_works_as_it_stands() {
    let (folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    symlink(env!("CARGO_BIN_EXE_ctl-bin"), folder.path().join("ctl-bin")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let blocks = shell_blocks("quick-start.md");
    assert_eq!(blocks.len(), 7, "{blocks:?}");
    for block in blocks {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block]).env("PATH", &path).env("CTL_HOME", &home).env("CTL_PLANET", "none");
        shell.env_remove("CTL_URL").env_remove("CTL_TOKEN").current_dir(folder.path());
        let output = shell.output().unwrap();
        println!("{block}{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{block}{output:?}");
    }
}

#[test]
fn every_document_that_is_named_is_there() {
    let mut documents: Vec<_> = fs::read_dir(DOCS).unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.push(Path::new(DOCS).join("../README.md"));
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                let path = document.parent().unwrap().join(target);
                assert!(path.exists(), "{} names {target}, which is not there", document.display());
            }
        }
    }
}
