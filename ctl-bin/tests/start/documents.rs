//! What the documents tell people to type works as it stands there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{free_port, home, serve};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Returns the blocks of a document that are for a shell.
fn shell_blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(DOCS).join(document)).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// What the commands of a document do to the machine, in a folder: `name` becomes a program that does what `script` says.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A home as the official controller has it, with one network, and the id of that.
fn old_home(folder: &Path) -> (PathBuf, String) {
    let first = folder.join("first");
    let (process, _) = serve(&first, free_port());
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
        let output = program.args(arguments).env("CTL_HOME", &first).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
    };
    run(&["network", "create", "--name", "office", "--subnet", "10.7.0.0/24"]);
    run(&["member", "authorize", "office", "f813f70b23"]);
    let old = folder.join("zerotier-one");
    fs::create_dir(&old).unwrap();
    run(&["export", "--format", "controller.d", old.join("controller.d").to_str().unwrap()]);
    for name in ["identity.secret", "identity.public", "authtoken.secret"] {
        fs::copy(first.join(name), old.join(name)).unwrap();
    }
    drop(process);
    let records = fs::read_dir(old.join("controller.d/network")).unwrap();
    let names = records.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let network = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).next().unwrap();
    (old, network)
}

/// Ends the process whose number is in a file, whatever became of the test.
struct Stop(PathBuf);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.0) {
            drop(Command::new("kill").arg(pid.trim()).output());
        }
    }
}

/// Every command of the document, in its order, with what starts services and containers replaced by scripts.
#[test]
fn moving_in_and_out_works_as_it_stands() {
    let folder = TempDir::new().unwrap();
    let (old, network) = old_home(folder.path());
    let (programs, home, port) = (folder.path().join("bin"), folder.path().join("ctl-bin"), free_port());
    fs::create_dir(&programs).unwrap();
    let real = env!("CARGO_BIN_EXE_ctl-bin");
    let (pid, log) = (folder.path().join("pid"), folder.path().join("log"));
    let _stop = Stop(pid.clone());
    // Alone with its home it serves: until it is ready, then in the background.
    stand_in(
        &programs,
        "ctl-bin",
        &format!(
            "if [ $# != 2 ] || [ \"$1\" != --home ]; then exec {real} \"$@\"; fi\n\
             {real} \"$@\" --port {port} --planet none >{log} 2>&1 </dev/null & echo $! >{pid}\n\
             until grep -q ^ready: {log}; do kill -0 $(cat {pid}); sleep 0.1; done",
            log = log.display(),
            pid = pid.display()
        ),
    );
    stand_in(
        &programs,
        "systemctl",
        &format!(
            "case \"$*\" in\n'start ctl-bin') ctl-bin --home {home} ;;\n'stop ctl-bin') \
             kill $(cat {pid}); while kill -0 $(cat {pid}) 2>/dev/null; do sleep 0.1; done ;;\nesac",
            home = home.display(),
            pid = pid.display()
        ),
    );
    stand_in(&programs, "docker", "if [ \"$1\" = cp ]; then cp -r \"${2#*:}\" \"$3\"; fi");
    stand_in(&programs, "chown", "");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let run = |block: &str| {
        let here = folder.path().display();
        let block = block
            .replace("ctl-bin &", "ctl-bin")
            .replace("9993", &port.to_string())
            .replace("NETWORK", &network)
            .replace("/tmp/", "/srv/")
            .replace("/srv/", &format!("{here}/"))
            .replace("/var/lib/zerotier-one", &old.display().to_string())
            .replace("/var/lib/ctl-bin", &home.display().to_string());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block]).env("PATH", &path).env("CTL_HOME", &home).current_dir(folder.path());
        let output = shell.env_remove("CTL_URL").env_remove("CTL_TOKEN").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{block}{said}");
        assert!(output.status.success(), "{block}{output:?}");
        said
    };
    let blocks = shell_blocks("migration.md");
    let [rehearse, stop_old, import, start, copy_out, move_in, name, export, back, json] = &blocks[..] else {
        panic!("{blocks:?}")
    };
    assert!(run(rehearse).contains("office") || run(rehearse).contains("networks"));
    assert!(!home.exists(), "a rehearsal makes nothing");
    run(stop_old);
    run(import);
    assert!(run(start).contains(&network), "the network is served");
    run(copy_out);
    run(move_in);
    run(name);
    assert!(run("ctl-bin member ls NETWORK\n").contains("laptop"));
    run(export);
    run(back);
    let record = old.join("controller.d/network").join(format!("{network}.json"));
    assert!(fs::read_to_string(record).unwrap().contains("office"), "the old controller has it back");
    run(json);
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
fn the_guide_to_the_api_works_as_it_stands() {
    let (folder, home) = home();
    let port = free_port();
    let (_process, _) = serve(&home, port);
    let blocks = shell_blocks("api-v2.md");
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    let mut program = Command::new(env!("CARGO_BIN_EXE_ctl-bin"));
    program.args(["network", "create", "--name", "other", "--json"]).env("CTL_HOME", &home);
    let made: serde_json::Value = serde_json::from_slice(&program.output().unwrap().stdout).unwrap();
    let script = blocks
        .concat()
        .replace("curl ", "curl --silent --show-error --fail-with-body ")
        .replace("9993", &port.to_string())
        .replace("NETWORK/", &format!("{}/", made["id"].as_str().unwrap()))
        .replace("/var/lib/ctl-bin", home.to_str().unwrap());
    let output = Command::new("sh").args(["-euc", &script]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{script}{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("\"office\"") && said.contains("\"laptop\"") && said.contains("\"secret\""),
        "{said}"
    );
}

#[test]
fn planets_moons_tokens_and_backups_work_as_the_documents_say() {
    let (folder, home) = home();
    let (process, _) = serve(&home, free_port());
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    // What only serves is shown by other tests.
    let serving = "case \"${1:-}\" in '' | --role | --api) exit 0 ;; esac";
    let real = env!("CARGO_BIN_EXE_ctl-bin");
    stand_in(&programs, "ctl-bin", &format!("{serving}\nexec {real} \"$@\""));
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let run = |block: &str, home: &Path| {
        let block = block.replace("/var/lib/ctl-bin", &home.display().to_string());
        let block = block.replace("/var/backups", &folder.path().display().to_string());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block]).env("PATH", &path).env("CTL_HOME", home).current_dir(folder.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{block}{output:?}");
    };
    run("ctl-bin identity new second.secret --public second.public", &home);
    let roots = shell_blocks("roots.md");
    let [one, show, several, roll, moon] = &roots[..] else { panic!("{roots:?}") };
    for block in [one, show, roll, moon] {
        run(block, &home);
    }
    run(several, &folder.path().join("several"));
    for block in shell_blocks("security.md") {
        run(&block, &home);
    }
    let backup = shell_blocks("backup.md").swap_remove(0);
    run(&backup.lines().take(2).collect::<Vec<_>>().join("\n"), &home);
    drop(process);
    run("ctl-bin verify ctl-bin/*.tar.zst; ctl-bin verify --home /var/lib/ctl-bin", &home);
}
