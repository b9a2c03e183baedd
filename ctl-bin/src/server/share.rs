//! A planet for phones: as base64, as a link that the mobile clients open, as a QR code of that link.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::unicode::Dense1x2;
use qrcode::types::{Color, QrError};
use qrcode::{EcLevel, QrCode};

/// What the mobile clients open, from release 1.16 on (`docs/protocol-notes.md`).
const LINK: &str = "https://joinzt.com/addplanet?v=1&planet=";
/// Modules of white around a code, without which many readers do not find it.
const QUIET: usize = 4;
/// Pixels of a module.
const SCALE: usize = 8;

/// Why there is no QR code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error(
        "the link has {0} characters, too many for a QR code; a planet with fewer roots and endpoints fits"
    )]
    TooLong(usize),
    #[error("the QR code cannot be made: {0}")]
    Code(QrError),
    #[error("the picture cannot be made: {0}")]
    Picture(#[from] png::EncodingError),
}

pub(super) fn base64(planet: &[u8]) -> String {
    STANDARD.encode(planet)
}

/// Returns the link. What base64 has beside letters and digits means something else in a link, so it is escaped.
pub(super) fn link(planet: &[u8]) -> String {
    let escaped = base64(planet).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("{LINK}{escaped}")
}

/// Returns the QR code of a text for a terminal with dark background, two modules a character.
pub(super) fn terminal(text: &str) -> Result<String, ShareError> {
    let code = code(text)?;
    let mut image = code.render::<Dense1x2>();
    // What is drawn is bright there, so the light modules are.
    Ok(image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Returns the QR code of a text as a picture.
pub(super) fn picture(text: &str) -> Result<Vec<u8>, ShareError> {
    let code = code(text)?;
    let width = code.width();
    let colors = code.to_colors();
    let side = (width + 2 * QUIET) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let module = |pixel: usize| (pixel / SCALE).checked_sub(QUIET).filter(|module| *module < width);
        let place = module(y).zip(module(x)).map(|(row, column)| row * width + column);
        place.and_then(|place| colors.get(place)).is_some_and(|color| *color == Color::Dark)
    };
    let pixels: Vec<u8> =
        (0..side * side).map(|n| if is_dark(n % side, n / side) { 0 } else { 0xff }).collect();
    let side = u32::try_from(side).map_err(|_| ShareError::TooLong(text.len()))?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(io::Cursor::new(&mut file), side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// Returns the QR code of a text as a picture that is sharp in every size, black on white whatever is around it.
pub(super) fn drawing(text: &str) -> Result<String, ShareError> {
    let code = code(text)?;
    let width = code.width();
    let side = width + 2 * QUIET;
    let colors = code.to_colors();
    let mut path = String::new();
    for (row, colors) in colors.chunks(width).enumerate() {
        let mut column = 0;
        for run in colors.chunk_by(|one, next| one == next) {
            if run.first() == Some(&Color::Dark) {
                let (x, y, length) = (column + QUIET, row + QUIET, run.len());
                path.push_str(&format!("M{x} {y}h{length}v1h-{length}z"));
            }
            column += run.len();
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>"
    ))
}

/// A screen does not get dirty, so the lowest level of error correction is enough, and gives the largest modules.
fn code(text: &str) -> Result<QrCode, ShareError> {
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        if error == QrError::DataTooLong { ShareError::TooLong(text.len()) } else { ShareError::Code(error) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a picture as a phone does.
    fn decode(file: &[u8]) -> String {
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (info.width as usize, info.height as usize);
        read_code(width, height, |x, y| pixels[y * width + x])
    }

    fn read_code(width: usize, height: usize, pixel: impl FnMut(usize, usize) -> u8) -> String {
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    fn planet(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|n| u8::try_from(n * 89 % 251).unwrap()).collect()
    }

    #[test]
    fn a_link_survives_what_links_go_through() {
        // 0xfb 0xff is "+/" in base64, and two bytes need padding.
        let link = link(&[0xfb, 0xff]);
        assert_eq!(link, "https://joinzt.com/addplanet?v=1&planet=%2B%2F8%3D");
        let escaped = link.strip_prefix(LINK).unwrap();
        assert!(escaped.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
    }

    #[test]
    fn the_picture_holds_the_link() {
        // One root with one endpoint; the public planet; three roots of two endpoints.
        for bytes in [258, 570, 900] {
            let link = link(&planet(bytes));
            assert_eq!(decode(&picture(&link).unwrap()), link, "{bytes} bytes");
        }
    }

    /// Draws what a browser would, four pixels a module.
    fn decode_drawing(drawing: &str) -> String {
        let after = |marker: &str| drawing.split(marker).nth(1).unwrap().split('"').next().unwrap();
        let side: usize = after("viewBox=\"0 0 ").split(' ').next().unwrap().parse().unwrap();
        let mut dark = vec![false; side * side];
        for run in after("<path d=\"").split('M').skip(1) {
            let numbers: Vec<usize> =
                run.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
            let &[x, y, length, ..] = &numbers[..] else { panic!("{run}") };
            dark[y * side + x..][..length].fill(true);
        }
        read_code(side * 4, side * 4, |x, y| if dark[y / 4 * side + x / 4] { 0 } else { 0xff })
    }

    #[test]
    fn the_drawing_holds_the_link() {
        for bytes in [258, 570, 900] {
            let link = link(&planet(bytes));
            assert_eq!(decode_drawing(&drawing(&link).unwrap()), link, "{bytes} bytes");
        }
    }

    #[test]
    fn the_terminal_shows_the_link() {
        let link = link(&planet(258));
        let text = terminal(&link).unwrap();
        let rows: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let (width, height) = (rows[0].len(), 2 * rows.len());
        assert!(rows.iter().all(|row| row.len() == width));
        // Each character shows two modules; what is drawn is bright on a dark terminal.
        let module = |x: usize, y: usize| {
            let is_bright = match rows[y / 2][x] {
                '█' => true,
                '▀' => y.is_multiple_of(2),
                '▄' => !y.is_multiple_of(2),
                ' ' => false,
                other => panic!("{other:?}"),
            };
            if is_bright { 0xff } else { 0 }
        };
        assert_eq!(read_code(width * 4, height * 4, |x, y| module(x / 4, y / 4)), link);
    }

    #[test]
    fn a_planet_that_fits_into_no_code_is_refused_with_the_reason() {
        let error = picture(&link(&planet(2_900))).unwrap_err().to_string();
        assert!(error.contains("too many for a QR code"), "{error}");
    }
}
