//! What the program was told, as the API shows it.

use schemars::JsonSchema;
use serde::Serialize;

/// Something that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Setting {
    /// That of the flag, without its dashes, and of the key in the file.
    pub name: String,
    /// In which group the command line shows it.
    pub group: Option<String>,
    /// As it was written; more than one if it is a list, none if nobody set it and it is nothing then.
    pub values: Vec<String>,
    pub source: SettingSource,
    /// What the next start would take instead, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Vec<String>>,
}

/// Where a setting comes from. Each goes before those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// Nobody set it.
    Default,
    File,
    Variable,
    Flag,
}
