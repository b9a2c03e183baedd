//! The file that `config print-default` prints.

use clap::Arg;
use ctl_core::settings_file::Kind;

use super::file::kind;
use super::table;
use crate::server::home::SETTINGS;

/// Characters of a line.
const WIDTH: usize = 100;

/// Returns a file with every setting, each of which becomes one when the `#` before it is taken away.
pub(super) fn default() -> String {
    let mut text = format!(
        "# Settings of ctl-bin: {SETTINGS} in its home, or where --config says. None is needed.\n\
         # Each has a flag and a variable of the same name: --port, CTL_PORT. A variable goes before this file, and a flag\n\
         # before both. `ctl-bin config check` checks this file; SIGHUP (systemctl reload ctl-bin) has the controller read\n\
         # it again.\n"
    );
    let settings = table();
    let mut headings: Vec<_> = settings.iter().map(Arg::get_help_heading).collect();
    headings.dedup();
    headings.sort_unstable_by_key(Option::is_some);
    headings.dedup();
    for heading in headings {
        if let Some(heading) = heading {
            text += &format!("\n# ---- {heading} ----\n");
        }
        for setting in settings.iter().filter(|setting| setting.get_help_heading() == heading) {
            let help = setting.get_help().map(ToString::to_string).unwrap_or_default();
            text += &format!(
                "\n{}#{} = {}\n",
                wrapped(&help),
                setting.get_long().unwrap_or_default(),
                value(setting)
            );
        }
    }
    text
}

/// Returns what a setting is when nobody sets it; where that is nothing, an example.
fn value(setting: &Arg) -> String {
    let default = setting.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let name = setting.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let value = default.unwrap_or_else(|| example(name).to_owned());
    match kind(setting) {
        Kind::Flag | Kind::Number => value,
        Kind::List => format!("[{value:?}]"),
        Kind::Text | Kind::Never => format!("{value:?}"),
    }
}

/// Returns an example of what a name of values stands for.
fn example(name: &str) -> &'static str {
    match name {
        "N" => "0",
        "IP" => "192.0.2.1",
        "IP/BITS" => "192.0.2.0/24",
        "ADDR:PORT" => "127.0.0.1:9993",
        "ORIGIN" => "https://panel.example",
        "builtin|none|FILE" => "builtin",
        "ROLE" => "controller",
        "RECIPIENT" => "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "LEVELS" => "info",
        "URL" => "http://127.0.0.1:4318",
        "DIR" => "/var/lib/ctl-bin/backups",
        _ => "/etc/ctl-bin/file",
    }
}

/// Lays out a text as remarks.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &line;
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Neither may the file have what the program does not take, nor lack what it does.
    #[test]
    fn every_line_of_the_default_file_is_a_setting_that_can_be_used() {
        let text = default();
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).collect();
        assert_eq!(lines.len(), table().len());
        let home = TempDir::new().unwrap();
        for line in lines {
            fs::write(home.path().join(SETTINGS), line.strip_prefix('#').unwrap()).unwrap();
            match super::super::of_home(home.path(), None) {
                Ok(line) => assert_eq!(line.set.len(), 1),
                // Some need others beside them.
                Err(super::super::SettingsError::Together { .. }) => {}
                Err(error) => panic!("{line}: {error}"),
            }
        }
        fs::write(home.path().join(SETTINGS), &text).unwrap();
        assert!(super::super::of_home(home.path(), None).unwrap().set.is_empty());
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    }
}
