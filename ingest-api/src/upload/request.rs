//! The headers of an upload, checked before a byte of its body is read.

use axum::http::{HeaderMap, header};
use crds::model::Format;
use rows_types::Digest;

use crate::error::{ApiError, UPLOAD_DIGEST, UPLOAD_OFFSET};
use crate::upload::decode::Encoding;
use crate::upload::resume::Offered;

/// The information in the headers of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadHeaders {
    /// How the body is compressed.
    pub encoding: Encoding,
    /// The format, if the content type specifies one.
    pub format: Option<Format>,
    /// The length of the body in bytes, if the client sends it.
    pub length: Option<u64>,
    /// The byte of the file at which the body begins, and the digest of the bytes before it.
    pub offered: Offered,
}

impl UploadHeaders {
    /// Reads the headers. `limit` is the most bytes of a file.
    pub fn parse(headers: &HeaderMap, limit: Option<u64>) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let number = |name, value: &str| {
            value.parse::<u64>().map_err(|_| ApiError::BadRequest(format!("the header {name} is no number")))
        };
        let length = text(header::CONTENT_LENGTH).map(|v| number("Content-Length", v)).transpose()?;
        let offset = text(UPLOAD_OFFSET).map(|v| number("Upload-Offset", v)).transpose()?;
        let encoding = Encoding::parse(text(header::CONTENT_ENCODING))?;
        if offset.is_some_and(|offset| offset > 0) && encoding != Encoding::Identity {
            // The offset counts bytes of the decompressed file.
            return Err(ApiError::UnsupportedEncoding(
                text(header::CONTENT_ENCODING).unwrap_or_default().into(),
            ));
        }
        match (limit, length.and_then(|length| length.checked_add(offset.unwrap_or(0)))) {
            (Some(limit), Some(bytes)) if bytes > limit => return Err(ApiError::UploadTooLarge { limit }),
            _ => {}
        }
        let digest = text(UPLOAD_DIGEST).map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|e| ApiError::BadRequest(format!("the header Upload-Digest: {e}")))?;
        let offered = Offered { offset, digest };
        Ok(Self { encoding, format: format(text(header::CONTENT_TYPE))?, length, offered })
    }
}

/// Returns the format that a content type specifies. The default types of curl and browsers specify none.
fn format(content_type: Option<&str>) -> Result<Option<Format>, ApiError> {
    let essence =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/octet-stream" | "application/x-www-form-urlencoded" | "text/plain" => Ok(None),
        other => match Format::of_content_type(other) {
            Some(format) => Ok(Some(format)),
            None => Err(ApiError::UnsupportedType(other.chars().take(64).collect())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&'static str, &'static str)], limit: Option<u64>) -> Result<UploadHeaders, ApiError> {
        let headers = pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        UploadHeaders::parse(&headers, limit)
    }

    fn reason(pairs: &[(&'static str, &'static str)], limit: Option<u64>) -> &'static str {
        parse(pairs, limit).unwrap_err().reason()
    }

    #[test]
    fn a_content_type_determines_the_format_and_an_unknown_one_is_refused() {
        let format = |t| parse(&[("content-type", t)], None).map(|h| h.format);
        assert_eq!(format("text/csv; charset=utf-8").unwrap(), Some(Format::Csv));
        assert_eq!(format("application/x-ndjson").unwrap(), Some(Format::JsonLines));
        assert_eq!(format("application/jsonl").unwrap(), Some(Format::JsonLines));
        assert_eq!(format("application/json; charset=utf-8").unwrap(), Some(Format::Json));
        assert_eq!(format("application/octet-stream").unwrap(), None);
        assert_eq!(
            reason(&[("content-type", "multipart/form-data; boundary=x")], None),
            "UnsupportedMediaType"
        );
        assert_eq!(reason(&[("content-encoding", "br")], None), "UnsupportedEncoding");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_by_its_length_alone() {
        assert_eq!(reason(&[("content-length", "11")], Some(10)), "UploadTooLarge");
        assert_eq!(reason(&[("content-length", "6"), ("upload-offset", "5")], Some(10)), "UploadTooLarge");
        assert_eq!(parse(&[("content-length", "10")], Some(10)).unwrap().length, Some(10));
        assert!(parse(&[("content-length", "11")], None).is_ok());
    }

    #[test]
    fn the_digest_of_the_skipped_bytes_is_parsed_and_an_invalid_one_is_refused() {
        let headers =
            parse(&[("upload-offset", "5"), ("upload-digest", "crc64nvme:0000000000000009")], None).unwrap();
        assert_eq!(headers.offered, Offered { offset: Some(5), digest: Some(Digest::from_u64(9)) });
        assert_eq!(reason(&[("upload-offset", "5"), ("upload-digest", "md5:9")], None), "BadRequest");
    }

    #[test]
    fn an_upload_continues_only_uncompressed() {
        assert_eq!(
            reason(&[("upload-offset", "5"), ("content-encoding", "gzip")], None),
            "UnsupportedEncoding"
        );
        assert!(parse(&[("upload-offset", "0"), ("content-encoding", "gzip")], None).is_ok());
        assert_eq!(reason(&[("upload-offset", "-5")], None), "BadRequest");
    }
}
