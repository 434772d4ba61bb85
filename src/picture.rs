//! Pictures of people: whatever was uploaded becomes one small PNG that Roster drew itself, or a sentence why not.
//!
//! A picture from outside is a program for a decoder. So its kind is read from its first bytes (never from its name),
//! its size before its pixels, its pixels within bounds of number and memory, a few pictures at a time. What comes out
//! is drawn anew: nothing of the file survives, neither its metadata nor what hides behind its end.

use crate::turns::Turns;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::png::PngEncoder,
    imageops::{self, FilterType},
};
use std::io::Cursor;

pub use crate::turns::Busy;

/// Most pixels on a side of what is taken.
pub const MOST_PIXELS: u32 = 4096;
/// Pixels on each side of what comes out.
pub const SIDE: u32 = 128;
/// Memory for the pixels of one picture, in bytes: [`MOST_PIXELS`] squared, four bytes each.
const MEMORY: u64 = 64 * 1024 * 1024;
/// How many pictures are drawn at a time.
const AT_ONCE: usize = 2;

/// Why a picture is not taken. `Display` is a sentence for whoever chose it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// None of the kinds we know, whatever its name says.
    #[error("This is not a picture we can read. Choose a PNG, JPEG, GIF or WebP file.")]
    Unknown,
    /// More pixels than [`MOST_PIXELS`] on a side, or more memory than one picture gets.
    #[error("This picture has too many pixels. Use one of at most {MOST_PIXELS} × {MOST_PIXELS}.")]
    TooManyPixels,
    /// It ends too early, or makes no sense.
    #[error("This picture is damaged. Choose another one.")]
    Damaged,
}

/// Draws pictures, a few at a time. Clones share the turns.
#[derive(Clone, Debug)]
pub struct Studio {
    turns: Turns,
}

impl Default for Studio {
    fn default() -> Self {
        Self {
            turns: Turns::new(AT_ONCE),
        }
    }
}

impl Studio {
    /// [`portrait`] on a thread for heavy work, in turn.
    ///
    /// # Errors
    /// [`Busy`] when no turn came in time. The judgement is the inner result.
    pub async fn portrait(&self, file: Vec<u8>) -> Result<Result<Vec<u8>, Unfit>, Busy> {
        let judged = self.turns.run(move |()| portrait(&file)).await?;
        // a decoder that panics has met a file that nobody wrote in earnest
        Ok(judged.unwrap_or(Err(Unfit::Damaged)))
    }
}

/// The middle of a PNG, JPEG, GIF or WebP file as a PNG of [`SIDE`] × [`SIDE`] pixels, upright; of an animation, its
/// first picture.
///
/// Blocks for up to some tenths of a second: a request uses [`Studio::portrait`].
///
/// # Errors
/// [`Unfit`].
pub fn portrait(file: &[u8]) -> Result<Vec<u8>, Unfit> {
    let kind = image::guess_format(file).map_err(|_| Unfit::Unknown)?;
    if !matches!(
        kind,
        ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP
    ) {
        return Err(Unfit::Unknown);
    }
    let mut reader = ImageReader::with_format(Cursor::new(file), kind);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unfit)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MOST_PIXELS || decoder.total_bytes() > MEMORY {
        return Err(Unfit::TooManyPixels);
    }
    let orientation = decoder.orientation().map_err(unfit)?;
    let whole = DynamicImage::from_decoder(decoder).map_err(unfit)?;
    let side = width.min(height);
    let middle = imageops::crop_imm(&whole, (width - side) / 2, (height - side) / 2, side, side);
    let mut small =
        DynamicImage::from(imageops::resize(&*middle, SIDE, SIDE, FilterType::Triangle));
    // The middle is the middle whichever way is up; turning the small one costs nothing.
    small.apply_orientation(orientation);
    let mut png = Vec::new();
    small
        .write_with_encoder(PngEncoder::new(&mut png))
        .map_err(unfit)?;
    Ok(png)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over"
)]
fn unfit(error: ImageError) -> Unfit {
    match error {
        ImageError::Limits(_) => Unfit::TooManyPixels,
        _ => Unfit::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage, metadata::Orientation};

    const RED: Rgba<u8> = Rgba([255, 0, 0, 255]);
    const BLUE: Rgba<u8> = Rgba([0, 0, 255, 255]);

    /// Red above blue, 60 × 40.
    fn two_halves() -> DynamicImage {
        RgbaImage::from_fn(60, 40, |_, y| if y < 20 { RED } else { BLUE }).into()
    }

    fn written(picture: &DynamicImage, kind: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let picture = if kind == ImageFormat::Jpeg {
            DynamicImage::from(picture.to_rgb8())
        } else {
            picture.clone()
        };
        picture.write_to(&mut file, kind).expect("it is written");
        file.into_inner()
    }

    fn drawn(file: &[u8]) -> RgbaImage {
        let png = portrait(file).expect("it is drawn");
        let picture = image::load_from_memory_with_format(&png, ImageFormat::Png);
        picture.expect("a PNG").to_rgba8()
    }

    fn near(pixel: &Rgba<u8>, to: Rgba<u8>) -> bool {
        pixel.0.iter().zip(to.0).all(|(a, b)| a.abs_diff(b) < 40)
    }

    #[test]
    fn every_kind_becomes_a_small_square_png() {
        for kind in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Gif,
            ImageFormat::WebP,
        ] {
            let picture = drawn(&written(&two_halves(), kind));
            assert_eq!(picture.dimensions(), (SIDE, SIDE), "{kind:?}");
            assert!(near(picture.get_pixel(64, 10), RED), "{kind:?}");
            assert!(near(picture.get_pixel(64, 118), BLUE), "{kind:?}");
        }
        for (width, height) in [(1, 1), (1, 900), (900, 1), (128, 128)] {
            let file = written(
                &RgbaImage::from_pixel(width, height, RED).into(),
                ImageFormat::Png,
            );
            assert_eq!(drawn(&file).dimensions(), (SIDE, SIDE), "{width}×{height}");
        }
    }

    #[test]
    fn the_middle_is_kept() {
        // blue at both ends, red in the middle square
        let wide = RgbaImage::from_fn(
            300,
            100,
            |x, _| {
                if (100..200).contains(&x) { RED } else { BLUE }
            },
        );
        let tall = RgbaImage::from_fn(
            100,
            300,
            |_, y| {
                if (100..200).contains(&y) { RED } else { BLUE }
            },
        );
        for picture in [wide, tall] {
            let picture = drawn(&written(&picture.into(), ImageFormat::Png));
            assert!(picture.pixels().all(|pixel| near(pixel, RED)));
        }
    }

    /// A JPEG that says which way is up, as telephones write them.
    fn turned(orientation: Orientation) -> Vec<u8> {
        let mut exif =
            b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend_from_slice(&[orientation.to_exif(), 0, 0, 0, 0, 0, 0]);
        let plain = written(&two_halves(), ImageFormat::Jpeg);
        [&plain[..2], &exif, &plain[2..]].concat()
    }

    #[test]
    fn a_turned_picture_is_put_upright() {
        let upside_down = drawn(&turned(Orientation::Rotate180));
        assert!(near(upside_down.get_pixel(64, 10), BLUE));
        let on_its_side = drawn(&turned(Orientation::Rotate90));
        assert!(near(on_its_side.get_pixel(118, 64), RED));
        assert!(near(on_its_side.get_pixel(10, 64), BLUE));
        let upright = drawn(&turned(Orientation::NoTransforms));
        assert!(near(upright.get_pixel(64, 10), RED));
    }

    /// The header of a PNG that claims a size, without any pixels.
    fn claims(width: u32, height: u32) -> Vec<u8> {
        let mut file = written(&two_halves(), ImageFormat::Png);
        file[16..20].copy_from_slice(&width.to_be_bytes());
        file[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..29]);
        file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        file
    }

    #[test]
    fn what_is_no_picture_is_told_so() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>";
        let tiff = b"II*\0\x08\0\0\0";
        for file in [
            &svg[..],
            b"<!doctype html><p>",
            b"",
            b"\x89PNG",
            b"BM",
            tiff,
        ] {
            assert_eq!(portrait(file), Err(Unfit::Unknown), "{file:?}");
        }
        for (width, height) in [(50_000, 50_000), (MOST_PIXELS + 1, 1), (1, MOST_PIXELS + 1)] {
            assert_eq!(portrait(&claims(width, height)), Err(Unfit::TooManyPixels));
        }
        // 16 bits a channel: few enough pixels, too much memory
        let mut deep = claims(MOST_PIXELS, MOST_PIXELS);
        deep[24] = 16;
        let mut crc = flate2::Crc::new();
        crc.update(&deep[12..29]);
        deep[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert_eq!(portrait(&deep), Err(Unfit::TooManyPixels));
        for kind in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let whole = written(&two_halves(), kind);
            for length in [whole.len() / 2, 20] {
                assert_eq!(portrait(&whole[..length]), Err(Unfit::Damaged), "{kind:?}");
            }
        }
    }

    #[test]
    fn no_file_makes_the_decoders_panic() {
        for kind in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Gif,
            ImageFormat::WebP,
        ] {
            let whole = written(&RgbaImage::from_pixel(8, 8, RED).into(), kind);
            // every fifth byte: a size that grows makes work
            for at in (0..whole.len()).step_by(5) {
                let mut bent = whole.clone();
                bent[at] ^= 0xff;
                drop(portrait(&bent));
                drop(portrait(&whole[..at]));
            }
        }
    }
}
