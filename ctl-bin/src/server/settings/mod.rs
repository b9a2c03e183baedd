//! The settings of `serve`: from a file, the environment and the command line, in this order (`docs/configuration.md`).
//!
//! There is one list of them: the arguments of [`ServeArgs`]. A setting of the file is the flag of the same name, and is read
//! as that would be.

mod file;
mod print;
pub(super) mod reload;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Subcommand};
use ctl_core::settings_file::Fault;
use ctl_http::{Setting, SettingSource};
use serde_json::{Map, json};

use super::announce::{say, say_json};
use super::config::{self, Cli, HomeArgs, ServeArgs};
use super::home::{READABLE, SETTINGS};

/// Flags of `serve` that a file cannot have: by which it is itself found, and what is said for one start.
const FLAGS_ALONE: [&str; 4] = ["home", "config", "take-over", "new-database"];

/// Prints and checks the configuration of `serve`
///
/// Settings come from a file, from variables and from flags: a variable goes before the file, and a flag before both.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints a file with every setting, what it does, and what it is unless somebody says otherwise
    PrintDefault,
    /// Checks a file, and says what is set by it and by variables. Exit code 0: it can be used or is not there, 1: it
    /// cannot
    Check(ConfigCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    /// File to check, which then must be there [default: the one of CTL_CONFIG, else ctl.toml in the home]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Prints as JSON what is set
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The command line or a variable.
    #[error("{}", brief(.0))]
    Line(#[from] clap::Error),
    #[error("cannot read {}: {source}; {READABLE}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has more than {} bytes; it is no configuration", path.display(), file::MAX_BYTES)]
    TooLong { path: PathBuf },
    #[error("{}", list(path, faults))]
    Faults { path: PathBuf, faults: Vec<Fault> },
    #[error("the settings of {} do not go together: {reason}", path.display())]
    Together { path: PathBuf, reason: String },
    #[error(transparent)]
    Exposed(#[from] super::api_args::Exposed),
}

fn list(path: &Path, faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect();
    lines.join("\n")
}

/// What a command line says, with what file and environment add to it.
#[derive(Debug)]
pub(crate) struct Line {
    pub cli: Cli,
    /// The settings of `serve` that somebody set, by name, as they were written.
    pub set: BTreeMap<String, Vec<OsString>>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Every setting of `serve` with what it is now, and why.
    pub settings: Vec<Setting>,
}

impl Line {
    /// Returns what serving is to do, if that is what the command line says.
    pub(crate) fn serving(&self) -> Option<&ServeArgs> {
        match &self.cli.command {
            None => Some(&self.cli.serve),
            Some(config::Command::Serve(args)) => Some(args),
            Some(_) => None,
        }
    }

    /// `of_file` are the names of those settings that only the file sets.
    fn new(found: &ArgMatches, file: Option<PathBuf>, of_file: &[String]) -> Result<Self, SettingsError> {
        let serving = serving(found);
        let set = serving.map(settings_of).unwrap_or_default();
        let settings = serving.map(|serving| described(serving, of_file)).unwrap_or_default();
        Ok(Self { cli: Cli::from_arg_matches(found)?, set, file, settings })
    }
}

/// Reads a command line, whose first word is the program, with the environment and the file that belong to it.
///
/// # Errors
/// Everything that is wrong with the file; else the first thing that is wrong with the command line.
pub(crate) fn read(line: &[OsString]) -> Result<Line, SettingsError> {
    let alone = parse(line);
    let found = match &alone {
        Ok(found) => found.clone(),
        // What is missing may be in the file.
        Err(error) if is_relation(error.kind()) => {
            Cli::command().ignore_errors(true).try_get_matches_from(line)?
        }
        Err(_) => return Line::new(&alone?, None, &[]),
    };
    let Some(serving) = serving(&found) else { return Line::new(&alone?, None, &[]) };
    let Some((path, entries)) = file::read(serving)? else { return Line::new(&alone?, None, &[]) };
    let mut longer = line.to_vec();
    let mut of_file = Vec::new();
    for (setting, values) in entries {
        if !is_set(serving, &setting) {
            let name = setting.get_long().unwrap_or_default();
            of_file.push(name.to_owned());
            longer.extend(values.iter().map(|value| OsString::from(format!("--{name}={value}"))));
        }
    }
    match parse(&longer) {
        Ok(found) => Line::new(&found, Some(path), &of_file),
        Err(error) if alone.is_ok() => Err(SettingsError::Together { path, reason: brief(&error) }),
        Err(error) => Err(error.into()),
    }
}

/// Reads what `serve` would, of a home and with another file than its own if that is named.
pub(crate) fn of_home(home: &Path, file: Option<&Path>) -> Result<Line, SettingsError> {
    let mut line: Vec<OsString> = ["ctl-bin", "serve", "--home"].map(Into::into).to_vec();
    line.push(home.into());
    if let Some(file) = file {
        line.extend(["--config".into(), file.into()]);
    }
    read(&line)
}

/// Does what the command says.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), SettingsError> {
    match command {
        ConfigCommand::PrintDefault => say(print::default().trim_end()),
        ConfigCommand::Check(args) => check(args)?,
    }
    Ok(())
}

fn check(args: &ConfigCheckArgs) -> Result<(), SettingsError> {
    let home = &args.home.home;
    let line = of_home(home, args.file.as_deref())?;
    if let Some(serving) = line.serving() {
        serving.api.listen(serving.port)?;
    }
    let texts = |values: &[OsString]| {
        values.iter().map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    if args.json {
        let set: Map<_, _> =
            line.set.iter().map(|(name, values)| (name.clone(), texts(values).into())).collect();
        say_json(&json!({ "file": line.file, "settings": set }));
        return Ok(());
    }
    match &line.file {
        Some(file) => say(&format!("{} can be used", file.display())),
        None => say(&format!("there is no {}: nothing to check", home.join(SETTINGS).display())),
    }
    for (name, values) in &line.set {
        say(&format!("{name}: {}", crate::cli::table::printable(&texts(values).join(", "))));
    }
    Ok(())
}

/// Returns the settings: every argument of `serve` that a file may have.
fn table() -> Vec<Arg> {
    let command = ServeArgs::augment_args(Command::new("serve"));
    let is_setting = |arg: &&Arg| arg.get_long().is_some_and(|name| !FLAGS_ALONE.contains(&name));
    command.get_arguments().filter(is_setting).cloned().collect()
}

fn parse(line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let mut command = Cli::command();
    let found = command.try_get_matches_from_mut(line)?;
    // Before a command they would be for nobody.
    if let Some((name, _)) = found.subcommand() {
        let is_lost = |arg: &Arg| found.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        let home = |arg: &&Arg| arg.get_long() != Some("home");
        let all = ServeArgs::augment_args(Command::new("serve"));
        if let Some(lost) = all.get_arguments().filter(home).find(|arg| is_lost(arg)) {
            let flag = lost.get_long().unwrap_or_default();
            let reason = format!("--{flag} is for serving: it comes after `serve`, not before `{name}`");
            return Err(command.error(ErrorKind::ArgumentConflict, reason));
        }
    }
    Ok(found)
}

/// Says whether a command line is refused for what is there and not there together.
fn is_relation(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict)
}

/// Returns what is said of serving, if that is what is to be done.
fn serving(found: &ArgMatches) -> Option<&ArgMatches> {
    match found.subcommand() {
        None => Some(found),
        Some(("serve", serving)) => Some(serving),
        Some(_) => None,
    }
}

/// Says whether the command line or a variable sets this.
fn is_set(serving: &ArgMatches, setting: &Arg) -> bool {
    let source = serving.value_source(setting.get_id().as_str());
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn settings_of(serving: &ArgMatches) -> BTreeMap<String, Vec<OsString>> {
    let value = |setting: Arg| {
        let raw = serving.get_raw(setting.get_id().as_str()).filter(|_| is_set(serving, &setting))?;
        Some((setting.get_long()?.to_owned(), raw.map(ToOwned::to_owned).collect()))
    };
    table().into_iter().filter_map(value).collect()
}

/// Returns every setting with what it is, and from where.
fn described(serving: &ArgMatches, of_file: &[String]) -> Vec<Setting> {
    let describe = |setting: Arg| {
        let name = setting.get_long()?.to_owned();
        let id = setting.get_id().as_str();
        let source = match serving.value_source(id) {
            Some(ValueSource::CommandLine) if of_file.contains(&name) => SettingSource::File,
            Some(ValueSource::CommandLine) => SettingSource::Flag,
            Some(ValueSource::EnvVariable) => SettingSource::Variable,
            _ => SettingSource::Default,
        };
        let values = serving.get_raw(id).into_iter().flatten();
        let values = values.map(|value| crate::cli::table::printable(&value.to_string_lossy()));
        let group = setting.get_help_heading().map(str::to_owned);
        Some(Setting { name, group, values: values.collect(), source, next: None })
    };
    table().into_iter().filter_map(describe).collect()
}

/// Returns what the parser of the command line says, without what it says for a terminal.
fn brief(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let words: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let text = words.join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Reads a line of arguments with a file in the home.
    fn with(file: &str, arguments: &[&str]) -> Result<Line, String> {
        let home = TempDir::new().unwrap();
        fs::write(home.path().join(SETTINGS), file).unwrap();
        let home_text = home.path().to_str().unwrap();
        let line: Vec<OsString> =
            [&["ctl-bin"], arguments, &["--home", home_text]].concat().into_iter().map(Into::into).collect();
        read(&line).map_err(|error| error.to_string().replace(home_text, "HOME"))
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_what_is_usual() {
        let file = "port = 1111\nbind = '192.0.2.1'\napi-query-token = true\napi-origin = ['https://a.example', 'https://b.example']\n";
        for arguments in [&["--port", "2222"][..], &["serve", "--port", "2222"]] {
            let line = with(file, arguments).unwrap();
            let serving = line.serving().unwrap();
            assert_eq!((serving.port, serving.bind), (2222, Some("192.0.2.1".parse().unwrap())));
            assert!(serving.api.api_query_token && !serving.port_mapping);
            assert_eq!(serving.api.origins.len(), 2);
            assert_eq!(
                line.set.keys().collect::<Vec<_>>(),
                ["api-origin", "api-query-token", "bind", "port"]
            );
        }
        let line = with(file, &["--api-query-token=false", "--api-origin", "https://c.example"]).unwrap();
        let serving = line.serving().unwrap();
        assert!(!serving.api.api_query_token);
        assert_eq!(serving.api.origins.len(), 1, "a list is replaced, not added to");
        assert_eq!(with("", &[]).unwrap().serving().unwrap().port, config::DEFAULT_PORT);
    }

    #[test]
    fn every_setting_is_shown_with_where_it_comes_from() {
        let file = "port = 1111\napi-origin = ['https://a.example', 'https://b.example']\n";
        let line = with(file, &["--port", "2222", "--bind", "192.0.2.1"]).unwrap();
        let shown = |name: &str| {
            let setting = line.settings.iter().find(|setting| setting.name == name).unwrap();
            (setting.source, setting.values.join(" "))
        };
        assert_eq!(line.settings.len(), table().len());
        assert_eq!(shown("port"), (SettingSource::Flag, "2222".to_owned()));
        assert_eq!(shown("bind"), (SettingSource::Flag, "192.0.2.1".to_owned()));
        let origins = "https://a.example https://b.example".to_owned();
        assert_eq!(shown("api-origin"), (SettingSource::File, origins));
        assert_eq!(shown("api-query-token"), (SettingSource::Default, "false".to_owned()));
        assert_eq!(shown("backup-dir"), (SettingSource::Default, String::new()));
    }

    #[test]
    fn what_one_has_and_another_needs_may_come_from_both() {
        let line = with("backup-dir = '/b'\napi-key = 'k'\n", &["--backup-keep", "3", "--api-cert", "c"]);
        let line = line.unwrap();
        let serving = line.serving().unwrap();
        assert_eq!((serving.backups.backup_keep, serving.api.is_tls()), (3, true));
        assert!(with("", &["--api-cert", "c"]).unwrap_err().contains("--api-key"));
        let error = with("api-cert = 'c'\n", &[]).unwrap_err();
        assert!(error.starts_with("the settings of HOME/ctl.toml do not go together: "), "{error}");
        assert!(error.contains("--api-key"), "{error}");
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named_with_file_line_column_and_key() {
        let file = "prot = 1\nport = 70000\nbind = 'x'\nrole = ['king']\nbackup-every = '1y'\nhome = '/'\n";
        let error = with(file, &[]).unwrap_err();
        assert_eq!(
            error.lines().collect::<Vec<_>>(),
            [
                "HOME/ctl.toml:1:1: \"prot\": there is no such setting; is port meant?",
                "HOME/ctl.toml:2:8: port: expected N, got \"70000\": 70000 is not in 1..=65535",
                "HOME/ctl.toml:3:8: bind: expected IP, got \"x\": invalid IP address syntax",
                "HOME/ctl.toml:4:9: role: expected controller or root, got \"king\"",
                "HOME/ctl.toml:5:16: backup-every: expected a time like 90s, 30m, 24h or 7d, not \"1y\"",
                "HOME/ctl.toml:6:8: home: expected nothing, since only the command line can say this, got the text \"/\"",
            ]
        );
        // A flag does not make a wrong file right.
        assert!(with("port = 'x'", &["--port", "1"]).is_err());
        // What does not serve does not read it.
        assert!(with("port = 'x'", &["network", "ls"]).is_ok());
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let home = TempDir::new().unwrap();
        assert!(of_home(home.path(), None).unwrap().file.is_none());
        let error = of_home(home.path(), Some(&home.path().join("other"))).unwrap_err().to_string();
        assert!(error.starts_with("cannot read") && error.contains("other"), "{error}");
        fs::write(home.path().join("other"), vec![b'#'; 2 << 20]).unwrap();
        let error = of_home(home.path(), Some(&home.path().join("other"))).unwrap_err().to_string();
        assert!(error.contains("has more than"), "{error}");
        fs::write(home.path().join("other"), b"port = 1\nbind = '\xff'").unwrap();
        let error = of_home(home.path(), Some(&home.path().join("other"))).unwrap_err().to_string();
        assert!(error.contains("other:2:9: expected UTF-8"), "{error}");
    }

    #[test]
    fn every_setting_has_a_variable_of_its_name() {
        for setting in table() {
            let name = setting.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(setting.get_env().unwrap().to_str().unwrap(), format!("CTL_{name}"));
            assert!(setting.get_help().is_some());
        }
        for name in FLAGS_ALONE {
            let command = ServeArgs::augment_args(Command::new("serve"));
            assert!(command.get_arguments().any(|arg| arg.get_long() == Some(name)), "{name}");
        }
    }

    #[test]
    fn what_is_for_serving_does_not_come_before_another_command() {
        assert!(with("", &["--home", "elsewhere", "network", "ls"]).is_ok());
        let error = with("", &["--port", "1", "network", "ls"]).unwrap_err();
        assert!(error.contains("--port is for serving"), "{error}");
    }
}
