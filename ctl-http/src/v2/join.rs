//! How a device joins a network: what to type there, and what a phone opens.

use schemars::JsonSchema;
use serde::Serialize;

use super::network::find;
use super::problem::Problem;
use super::request::{Answer, Request};
use crate::State;

/// How a device joins a network.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Join {
    /// What to type on a device that has a keyboard.
    command: String,
    /// What the mobile clients open. Its page is the vendor's, which so hears the id of the network.
    link: String,
    /// The link as a QR code, an SVG picture.
    qr_code: Option<String>,
}

/// `GET /api/v2/network/{network}/join`: how a device joins a network.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    state.api.store.read(|tx| find(tx, id).map(drop))?;
    // `docs/protocol-notes.md` says where this is from.
    let link = format!("https://joinzt.com/addnetwork?nwid={id}&v=1");
    let qr_code = (state.api.qr_code)(&link);
    Answer::ok(&Join { command: format!("zerotier-cli join {id}"), link, qr_code })
}
