//! `ctl-bin identity`, `completions` and `man`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::backup::{names, printed, run, text};
use crate::program::{home, refused};

#[test]
fn an_identity_is_made_closed_to_others_and_never_over_another() {
    let (folder, _) = home();
    let file = folder.path().join("identity.secret");
    let said = printed(run(&["identity", "new", text(&file)]));
    assert_eq!(names(folder.path()), ["identity.public", "identity.secret"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    let public = fs::read_to_string(folder.path().join("identity.public")).unwrap();
    assert!(secret.starts_with(&public) && said.contains(&public[..10]), "{said}");
    let error = refused(run(&["identity", "new", text(&file)]));
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    // Nor is half of one made beside a public half of another.
    let other = folder.path().join("other.secret");
    fs::copy(folder.path().join("identity.public"), folder.path().join("other.public")).unwrap();
    refused(run(&["identity", "new", text(&other)]));
    assert!(!other.exists());
}

#[test]
fn an_identity_is_checked_shown_and_signs() {
    let (folder, _) = home();
    let file = folder.path().join("identity.secret");
    printed(run(&["identity", "new", text(&file)]));
    let public = fs::read_to_string(folder.path().join("identity.public")).unwrap();
    let secret = fs::read_to_string(&file).unwrap();
    for identity in [&public, text(&file)] {
        printed(run(&["identity", "validate", identity]));
        let shown = printed(run(&["identity", "show", identity]));
        assert!(shown.contains(&public) && shown.contains("fingerprint: "), "{shown}");
        assert!(!shown.contains(secret.rsplit(':').next().unwrap()), "the secret was shown");
    }
    let other = if public.starts_with('a') { "b" } else { "a" };
    let error = refused(run(&["identity", "validate", &format!("{other}{}", &public[1..])]));
    assert!(error.contains("is no identity"), "{error}");
    let document = folder.path().join("document");
    fs::write(&document, "what is signed").unwrap();
    let signature = printed(run(&["identity", "sign", text(&file), text(&document)]));
    let verify = |signature: &str| run(&["identity", "verify", &public, text(&document), signature]);
    printed(verify(signature.trim()));
    assert!(refused(verify("12")).contains("192 hexadecimal digits"));
    fs::write(&document, "something else").unwrap();
    assert!(refused(verify(signature.trim())).contains("is not one of"));
    refused(run(&["identity", "sign", text(&folder.path().join("identity.public")), text(&document)]));
}

#[test]
fn shells_and_man_know_every_command() {
    let (folder, _) = home();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(run(&["completions", shell]));
        assert!(script.contains("authorize") && script.contains("doctor"), "{shell}");
    }
    let dir = folder.path().join("man");
    printed(run(&["man", text(&dir)]));
    for page in ["ctl-bin.1", "ctl-bin-serve.1", "ctl-bin-network-create.1", "ctl-bin-doctor.1"] {
        let text = fs::read_to_string(dir.join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    // Each page renders without a complaint, where there is something that renders.
    for page in names(&dir) {
        let mut groff = Command::new("groff");
        let Ok(output) = groff.args(["-man", "-Tascii", "-P-cbou", "-ww"]).arg(dir.join(&page)).output()
        else {
            println!("NOT CHECKED: there is no groff here");
            return;
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("SYNOPSIS"), "{page}");
    }
}

/// What a shell proposes after some words: the shell itself is asked, where it is there.
#[test]
fn shells_complete_commands_and_options() {
    let (folder, _) = home();
    let file = |shell: &str| {
        let path = folder.path().join(shell);
        fs::write(&path, printed(run(&["completions", shell]))).unwrap();
        path
    };
    let ask = |program: &str, arguments: &[&str]| match Command::new(program).args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(_) => {
            println!("NOT CHECKED: there is no {program} here");
            None
        }
    };
    let bash = file("bash");
    for (line, expected) in [
        ("ctl-bin mem", "member"),
        ("ctl-bin network cr", "create"),
        ("ctl-bin network create --na", "--name"),
        ("ctl-bin backup --js", "--json"),
        ("ctl-bin log-level --ins", "--insecure"),
        ("ctl-bin config print", "print-default"),
    ] {
        let script = r#". "$0"; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _ctl__bin ctl-bin "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; echo "${COMPREPLY[@]}""#;
        if let Some(proposed) = ask("bash", &["-uec", script, text(&bash), line]) {
            assert_eq!(proposed.trim(), expected, "{line}");
        }
        let fish = file("fish");
        let script = format!("source {}; complete -C '{line}'", text(&fish));
        if let Some(proposed) = ask("fish", &["--no-config", "-c", &script]) {
            assert!(proposed.contains(expected), "{line}: {proposed}");
        }
    }
    // Completing takes a terminal there; that it is read without a complaint does not.
    let script = format!(
        "autoload -U compinit; compinit -D; source {}; (( $+functions[_ctl-bin] ))",
        text(&file("zsh"))
    );
    ask("zsh", &["-f", "-c", &script]);
}
