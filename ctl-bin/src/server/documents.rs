//! What README and `docs/` say of commands, settings and each other, held to the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Parser};

use super::config::Cli;
use super::settings;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What stands for something else in the documents, and an example of it.
const EXAMPLES: [(&str, &str); 6] = [
    ("NETWORK", "8056c2e21c000001"),
    ("ADDRESS", "89e92ceee5"),
    ("COMMAND", "network"),
    ("SHELL", "bash"),
    ("age1…", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"),
    // Which is a file, that would be read.
    (
        "second.public",
        "7d8273c358:0:2b3023cda20f940532d9e4036c1d176d6c812b26b1bc55bf0a17473e7d59435cf1a293129bf870bbde724e5e327416d0176554f439409611dafedf8207b67433",
    ),
];
/// Flags of other programs that are named alone.
const FLAGS_OF_OTHERS: [&str; 3] = ["--cyclonedx", "--ignored", "--licences"];
/// Variables that are not settings: of commands that speak to a controller, of the scripts, and of tests.
const OTHER_VARIABLES: [&str; 7] = [
    "CTL_PACKAGE_BUILT",
    "CTL_PACKAGE_PROFILE",
    "CTL_SKIP_REAL_CLIENT",
    "CTL_STATIC_PROFILE",
    "CTL_STORE_CRASH_ROUNDS",
    "CTL_STORE_CRASH_SEED",
    "CTL_TOKEN",
];

struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn name(&self) -> String {
        self.path.strip_prefix(ROOT).unwrap().display().to_string()
    }

    /// Returns the blocks of one language.
    fn blocks(&self, language: &str) -> Vec<&str> {
        let parts = self.text.split("```").skip(1).step_by(2);
        parts.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
    }

    /// Returns what is outside of blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// Returns the pieces of code within sentences.
    fn code(&self) -> Vec<String> {
        let prose = self.prose();
        prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
    }

    /// Returns where links go that do not leave the repository.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
    }

    /// Returns the anchors of its headings, as the usual viewers of Markdown make them.
    fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// README and everything in `docs/`.
fn documents() -> Vec<Document> {
    let mut paths = vec![Path::new(ROOT).join("README.md")];
    let entries = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    paths.extend(entries.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let read = |path: PathBuf| Document { text: fs::read_to_string(&path).unwrap(), path };
    let documents: Vec<_> = paths.into_iter().map(read).collect();
    assert!(documents.len() > 20);
    documents
}

/// Returns the commands of a script, each as its words. Substitutions are words.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    let script = format!("{}\n", script.replace("\\\n", " "));
    let mut characters = script.chars().peekable();
    let mut depth = 0;
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, '#') if word.is_empty() => while characters.next_if(|next| *next != '\n').is_some() {},
            (None, ' ' | '\n' | '|' | ';' | '&' | '>' | '<') if depth == 0 => {
                if !word.is_empty() {
                    commands.last_mut().unwrap().push(std::mem::take(&mut word));
                }
                if c != ' ' {
                    commands.push(Vec::new());
                }
            }
            _ => word.push(c),
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// Returns the arguments with which a command calls this program, if it does.
fn arguments(mut words: &[String]) -> Option<Vec<String>> {
    loop {
        let (first, rest) = words.split_first()?;
        match first.as_str() {
            "ctl-bin" | "/ctl-bin" | "target/release/ctl-bin" => break,
            "sudo" => words = rest,
            "runuser" => words = rest.split(|word| word == "--").nth(1)?,
            "cargo" if rest.iter().any(|word| word == "ctl-bin") => {
                words = rest.get(rest.iter().position(|word| word == "ctl-bin")?..)?;
            }
            "docker" => words = rest.get(rest.iter().position(|word| word == "/ctl-bin")?..)?,
            variable if variable.starts_with("CTL_") => words = rest,
            _ => return None,
        }
    }
    let filled = |word: &String| {
        EXAMPLES.iter().fold(word.clone(), |word, (name, example)| word.replace(name, example))
    };
    let given = words.iter().skip(1).filter(|word| !matches!(word.as_str(), "…" | "--"));
    Some(given.map(filled).collect())
}

fn parse(arguments: &[String]) -> Result<(), clap::Error> {
    match Cli::try_parse_from([&["ctl-bin".to_owned()], arguments].concat()) {
        Err(error) if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

#[test]
fn every_command_to_type_is_one_that_the_program_understands() {
    let (mut count, mut wrong) = (0, Vec::new());
    for document in documents() {
        // In which its name is that of a crate.
        let is_map = document.path.ends_with("architecture.md");
        let texts = document.blocks("text");
        // What stands for many commands is none.
        let texts = texts.iter().filter(|text| !is_map && !text.contains("…\n") && !text.contains("… "));
        for script in document.blocks("sh").iter().chain(texts) {
            for arguments in commands(script).iter().filter_map(|words| arguments(words)) {
                count += 1;
                if let Err(error) = parse(&arguments) {
                    wrong.push(format!("{}: ctl-bin {}: {error}", document.name(), arguments.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "{count}");
}

#[test]
fn every_command_that_a_sentence_names_is_there() {
    let (mut count, mut wrong) = (0, Vec::new());
    for document in documents() {
        for code in document.code().iter().filter(|code| code.starts_with("ctl-bin ")) {
            for arguments in commands(code).iter().filter_map(|words| arguments(words)) {
                count += 1;
                let Err(error) = parse(&arguments) else { continue };
                // A sentence need not say all of it.
                let is_part = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                ) || arguments.last().is_some_and(|last| last.starts_with("--"));
                if !is_part {
                    wrong.push(format!("{}: {code}: {error}", document.name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 30, "{count}");
}

#[test]
fn every_flag_variable_and_setting_that_is_named_is_there() {
    let (mut flags, mut variables) = (BTreeSet::new(), BTreeSet::new());
    let mut program = Cli::command();
    program.build();
    collect(&program, &mut flags, &mut variables);
    flags.extend(FLAGS_OF_OTHERS.map(str::to_owned));
    variables.extend(OTHER_VARIABLES.map(str::to_owned));
    let mut wrong = Vec::new();
    // The figures are made by a program of its own, with flags of its own.
    for document in documents().iter().filter(|document| !document.path.ends_with("performance.md")) {
        for code in document.code().iter().filter(|code| code.starts_with("--")) {
            let flag = code.split([' ', '=']).next().unwrap();
            if !flags.contains(flag) {
                wrong.push(format!("{}: {code}: there is no such flag", document.name()));
            }
        }
        for rest in document.text.split("CTL_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
            let variable = format!("CTL_{}", &rest[..end]);
            if !variables.contains(&variable) {
                wrong.push(format!("{}: {variable} means nothing", document.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let documents = documents();
    let configuration =
        documents.iter().find(|document| document.path.ends_with("configuration.md")).unwrap();
    let home = tempfile::TempDir::new().unwrap();
    for block in configuration.blocks("toml") {
        let file = home.path().join("ctl.toml");
        fs::write(&file, block).unwrap();
        settings::of_home(home.path(), Some(&file)).unwrap();
    }
}

fn collect(command: &Command, flags: &mut BTreeSet<String>, variables: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        flags.extend(argument.get_long().map(|long| format!("--{long}")));
        variables.extend(argument.get_env().map(|name| name.to_str().unwrap().to_owned()));
    }
    for subcommand in command.get_subcommands() {
        collect(subcommand, flags, variables);
    }
}

#[test]
fn every_file_and_test_that_is_named_is_there() {
    let root = Path::new(ROOT);
    let (mut count, mut wrong) = (0, Vec::new());
    for document in documents() {
        let mut pieces = document.code();
        pieces.extend(document.blocks("sh").iter().map(|&block| block.to_owned()));
        for words in pieces.iter().flat_map(|piece| commands(piece)) {
            for word in &words {
                let is_ours =
                    [".ci/", "dist/", "benches/", "ctl-bin/", "ctl-core/", "ctl-http/", "ctl-store/", "zt-"];
                let word = word.trim_end_matches(['.', ',', ':']);
                let stands_for_many = word.contains(['*', '…']) || word.contains("vN");
                if is_ours.iter().any(|start| word.starts_with(start))
                    && word.contains('/')
                    && !stands_for_many
                {
                    count += 1;
                    if !root.join(word).exists() {
                        wrong.push(format!("{}: {word} is not there", document.name()));
                    }
                }
            }
            let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
            if let (true, Some(package), Some(test)) =
                (words.starts_with(&["cargo".into(), "test".into()]), after("-p"), after("--test"))
            {
                count += 1;
                let folder = root.join(package).join("tests").join(test);
                let filters = words.iter().skip_while(|word| *word != test).skip(1);
                for filter in filters.take_while(|word| *word != "--") {
                    if !names_a_test(&folder, filter) {
                        wrong.push(format!("{}: {}: no test {filter}", document.name(), words.join(" ")));
                    }
                }
                if !folder.is_dir() {
                    wrong.push(format!("{}: {}: no such tests", document.name(), words.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "{count}");
}

/// Says whether a test binary has tests, or modules of them, whose name contains `filter`.
fn names_a_test(folder: &Path, filter: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.map(|entry| entry.unwrap().path()).any(|path| {
        let is_module = path.file_stem().is_some_and(|name| name.to_string_lossy().contains(filter));
        is_module || fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {filter}")))
    })
}

#[test]
fn every_link_leads_somewhere_and_every_document_can_be_found() {
    let documents = documents();
    let mut named = BTreeSet::new();
    for document in &documents {
        for link in document.links() {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let folder = document.path.parent().unwrap();
            let path = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            let Ok(path) = path.canonicalize() else {
                panic!("{}: {link} is not there", document.name());
            };
            let Some(target) = documents.iter().find(|other| other.path.canonicalize().unwrap() == path)
            else {
                assert!(anchor.is_none(), "{}: {link}", document.name());
                continue;
            };
            let has = |anchor: &str| target.anchors().iter().any(|other| other == anchor);
            assert!(anchor.is_none_or(has), "{}: {link} is no heading there", document.name());
            if document.path.ends_with("docs/README.md") {
                named.insert(target.name());
            }
        }
    }
    for document in documents.iter().filter(|document| !document.path.ends_with("README.md")) {
        assert!(named.contains(&document.name()), "docs/README.md does not name {}", document.name());
    }
}

#[test]
fn scripts_are_taken_apart_as_a_shell_does() {
    let words = |script: &str| commands(script).into_iter().map(|words| words.join(",")).collect::<Vec<_>>();
    assert_eq!(words("a b # c\nd 'e f' \\\n  g | h>i"), ["a,b", "d,e f,g", "h", "i"]);
    assert_eq!(words("a \"x: $(cat b | c)\" d && e"), ["a,x: $(cat b | c),d", "e"]);
    let of = |line: &str| commands(line).iter().find_map(|words| arguments(words)).unwrap().join(" ");
    assert_eq!(of("sudo ctl-bin doctor"), "doctor");
    assert_eq!(of("runuser -u ctl-bin -- ctl-bin verify"), "verify");
    assert_eq!(of("cargo run --release -p ctl-bin -- member ls NETWORK"), "member ls 8056c2e21c000001");
    assert!(arguments(&["systemctl".to_owned(), "ctl-bin".to_owned()]).is_none());
    assert_eq!(anchor("Where the API listens, and TLS"), "where-the-api-listens-and-tls");
}
