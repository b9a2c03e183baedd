//! How far long work is: drawn on a terminal, for who wants it, and nowhere else.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::cli::bare;
use crate::program::{free_port, home, serve};

/// Where somebody looks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Terminal,
    /// With `NO_COLOR`: a bar has no colours in the first place.
    Plain,
    /// One that cannot go back in a line.
    Dumb,
    Quiet,
    File,
}

/// Takes its time in one way or another; `{n}` is another number each time.
const LONG: &[(&[&str], &[&str])] = &[
    (&["backup", "--to", "made-{n}"], &["copying the database", "hashing", "writing", "comparing"]),
    (&["restore", "backup", "--home", "restored-{n}"], &["unpacking", "checking the database"]),
    (&["verify"], &["checking the database"]),
    (&["verify", "backup"], &["unpacking", "checking the database"]),
    (&["export", "--format", "json", "exported-{n}"], &["exporting"]),
    (&["export", "--format", "controller.d", "controller-{n}.d"], &["exporting"]),
    (&["import", "exported", "--home", "stopped", "--dry-run"], &["importing"]),
    (&["import", "exported", "--home", "stopped"], &["importing"]),
    (&["identity", "new", "identity-{n}"], &["looking for an address"]),
    (&["apply", "networks-{n}.toml", "--yes"], &["comparing", "applying"]),
    (&["member", "ls", "n"], &["reading members"]),
    (&["member", "authorize", "n", "1122334455", "aabbccddee"], &["members"]),
    (&["member", "deauthorize", "n", "1122334455", "aabbccddee"], &["members"]),
    (&["doctor"], &["examining"]),
];

#[test]
fn long_work_is_seen_on_a_terminal_and_leaves_nothing_behind() {
    let (folder, home) = home();
    let (_process, _) = serve(&home, free_port());
    let here = folder.path();
    let run = |arguments: &[&str]| {
        let output = command(here, &home, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
    };
    run(&["network", "create", "--name", "n"]);
    run(&["member", "authorize", "n", "1122334455"]);
    run(&["backup", "--to", "backup"]);
    run(&["restore", "backup", "--home", "stopped"]);
    run(&["export", "--format", "json", "exported"]);
    let places = [Place::Terminal, Place::Plain, Place::Dumb, Place::Quiet, Place::File];
    for (number, place) in places.into_iter().enumerate() {
        let network = format!("[[network]]\nname = \"new {number}\"\n");
        std::fs::write(here.join(format!("networks-{number}.toml")), network).unwrap();
        for (arguments, steps) in LONG {
            let arguments: Vec<_> =
                arguments.iter().map(|word| word.replace("{n}", &number.to_string())).collect();
            let words: Vec<_> = arguments.iter().map(String::as_str).collect();
            let (output, drawn) = watch(place, here, &home, &words);
            assert!(output.status.success(), "{place:?} {words:?}: {drawn} {output:?}");
            if !matches!(place, Place::Terminal | Place::Plain) {
                assert_eq!(drawn, "", "{place:?} {words:?}");
                continue;
            }
            for step in *steps {
                assert!(drawn.contains(step), "{place:?} {words:?}: {step} is not in {drawn:?}");
            }
            let is_of_a_bar = |c| matches!(c, '░' | '█' | '⠁'..='⣿');
            assert!(drawn.contains(is_of_a_bar), "{place:?} {words:?}: {drawn:?}");
            assert!(!drawn.contains("\u{1b}[3"), "{place:?} {words:?} has colours: {drawn:?}");
            // Whoever reads the terminal afterwards sees what was said and no half bar.
            let left = drawn.rsplit("\u{1b}[2K").next().unwrap();
            assert_eq!(left.trim_end_matches("\u{1b}[1A"), "", "{place:?} {words:?}: {drawn:?}");
        }
    }
}

fn command(here: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command.current_dir(here).env("CTL_HOME", home).env("CTL_PLANET", "none").env("TERM", "xterm");
    command
}

/// Runs a command, and returns beside its results what somebody sees on standard error.
fn watch(place: Place, here: &Path, home: &Path, arguments: &[&str]) -> (Output, String) {
    let arguments =
        if place == Place::Quiet { [arguments, &["--quiet"]].concat() } else { arguments.to_vec() };
    let mut command = command(here, home, &arguments);
    match place {
        Place::File => {
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr.clone()).unwrap();
            return (output, said);
        }
        Place::Dumb => {
            command.env("TERM", "dumb");
        }
        Place::Terminal => {
            command.env_remove("NO_COLOR");
        }
        Place::Plain | Place::Quiet => {}
    }
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let inside = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let seeing = thread::spawn(move || {
        let (mut seen, mut part) = (Vec::new(), [0; 4096]);
        let mut terminal = File::from(terminal);
        // It fails once nobody has the other end.
        while let Ok(length @ 1..) = terminal.read(&mut part) {
            seen.extend_from_slice(&part[..length]);
        }
        String::from_utf8(seen).unwrap()
    });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(inside));
    let child = command.spawn().unwrap();
    drop(command);
    let output = child.wait_with_output().unwrap();
    (output, seeing.join().unwrap())
}
