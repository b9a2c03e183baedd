//! The settings of the program, and where each comes from. They are changed where they were made, not here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::request::{Answer, Request};
use crate::State;
use crate::settings::Setting;

/// The settings of the program.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SettingList {
    data: Vec<Setting>,
}

/// `GET /api/v2/settings`: all of them, in the order of the command line's help.
pub(crate) fn list(state: &State, _: Request) -> Result<Answer, Problem> {
    let settings = Arc::clone(&state.api.settings.borrow());
    Answer::ok(&SettingList { data: settings.to_vec() })
}
