//! A file of settings, held to the arguments of `serve`.

use std::any::TypeId;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use ctl_core::record::cut;
use ctl_core::settings_file::{self, Entry, Fault, Key, Kind, Place};

use super::{FLAGS_ALONE, SettingsError, is_relation, table};
use crate::server::config::ServeArgs;
use crate::server::home::SETTINGS;

/// Largest file that is read: all settings with all their comments have some KiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// A setting, and what a file says of it.
type Set = (Arg, Vec<String>);

/// Reads the file that a command line names, or the one in the home if there is one.
pub(super) fn read(serving: &ArgMatches) -> Result<Option<(PathBuf, Vec<Set>)>, SettingsError> {
    let named = serving.try_get_one::<PathBuf>("config").ok().flatten();
    let path = match (named, serving.try_get_one::<PathBuf>("home").ok().flatten()) {
        (Some(named), _) => named.clone(),
        (None, Some(home)) => home.join(SETTINGS),
        (None, None) => return Ok(None),
    };
    let failed = |source| SettingsError::Read { path: path.clone(), source };
    match fs::metadata(&path) {
        Err(error) if named.is_none() && is_not_there(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(file) if file.len() > MAX_BYTES => return Err(SettingsError::TooLong { path }),
        Ok(_) => {}
    }
    let settings = table();
    let read = text(&fs::read(&path).map_err(failed)?).and_then(|text| check(&text, &settings));
    let entries = read.map_err(|faults| SettingsError::Faults { path: path.clone(), faults })?;
    let set = entries.into_iter().filter_map(|Entry { key, values }| {
        let setting = settings.iter().find(|setting| setting.get_long() == Some(&key))?.clone();
        Some((setting, values.into_iter().map(|(value, _)| value).collect()))
    });
    Ok(Some((path, set.collect())))
}

/// A home that cannot even be made is for others to complain about.
fn is_not_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn text(bytes: &[u8]) -> Result<String, Vec<Fault>> {
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let good = bytes.get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let place = Place::of(&String::from_utf8_lossy(good), good.len());
        vec![Fault { place, reason: "expected UTF-8".to_owned() }]
    })
}

/// Reads the text of a file, and holds every value to the setting that it is for.
fn check(text: &str, settings: &[Arg]) -> Result<Vec<Entry>, Vec<Fault>> {
    let key = |setting: &'_ Arg| Some((setting.get_long()?.to_owned(), kind(setting)));
    let never = FLAGS_ALONE.map(|name| (name.to_owned(), Kind::Never));
    let known: Vec<_> = settings.iter().filter_map(key).chain(never).collect();
    let keys: Vec<_> = known.iter().map(|(name, kind)| Key { name, kind: *kind }).collect();
    let (entries, mut faults) = settings_file::parse(text, &keys);
    for entry in &entries {
        for (value, place) in &entry.values {
            if let Err(reason) = check_value(&entry.key, value) {
                faults.push(Fault { place: *place, reason: format!("{}: {reason}", entry.key) });
            }
        }
    }
    faults.sort_by_key(|fault| fault.place);
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

/// Returns what a file has to say of a setting.
pub(super) fn kind(setting: &Arg) -> Kind {
    let kind = setting.get_value_parser().type_id();
    if kind == TypeId::of::<bool>() {
        Kind::Flag
    } else if kind == TypeId::of::<u16>() || kind == TypeId::of::<u32>() {
        Kind::Number
    } else if matches!(setting.get_action(), ArgAction::Append) {
        Kind::List
    } else {
        Kind::Text
    }
}

/// Says what is wrong with a value of one setting, as the command line would read it.
fn check_value(key: &str, value: &str) -> Result<(), String> {
    let command = ServeArgs::augment_args(Command::new("serve").no_binary_name(true));
    // Only this value is in question, whatever variables say.
    let command = command.mut_args(|arg| arg.env(None::<&'static str>));
    let Err(error) = command.try_get_matches_from([format!("--{key}={value}")]) else { return Ok(()) };
    if is_relation(error.kind()) {
        return Ok(());
    }
    let came = cut(value);
    let expected = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid))
            if error.kind() == ErrorKind::InvalidValue && !valid.is_empty() =>
        {
            return Err(format!("expected {}, got {came:?}", valid.join(" or ")));
        }
        _ => match error.get(ContextKind::InvalidArg) {
            // `--port <N>`
            Some(ContextValue::String(usage)) => usage.split_once('<').map_or("", |(_, name)| name),
            _ => "",
        },
    };
    match error.source().map(ToString::to_string) {
        Some(reason) if reason.starts_with("expected") => Err(reason),
        Some(reason) => {
            Err(format!("expected {}, got {came:?}: {reason}", expected.trim_end_matches(['>', '.'])))
        }
        None => Err(super::brief(&error)),
    }
}
