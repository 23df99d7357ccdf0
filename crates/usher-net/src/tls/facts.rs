//! What a certificate says, in words.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Oid, oid};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The short names of attributes (RFC 4514 section 3, and those that OpenSSL writes).
static SHORT_NAMES: [(Oid<'static>, &str); 15] = [
    (oid!(2.5.4.3), "CN"),
    (oid!(2.5.4.4), "SN"),
    (oid!(2.5.4.5), "serialNumber"),
    (oid!(2.5.4.6), "C"),
    (oid!(2.5.4.7), "L"),
    (oid!(2.5.4.8), "ST"),
    (oid!(2.5.4.9), "street"),
    (oid!(2.5.4.10), "O"),
    (oid!(2.5.4.11), "OU"),
    (oid!(2.5.4.12), "title"),
    (oid!(2.5.4.42), "GN"),
    (oid!(2.5.4.97), "organizationIdentifier"),
    (oid!(0.9.2342.19200300.100.1.1), "UID"),
    (oid!(0.9.2342.19200300.100.1.25), "DC"),
    (oid!(1.2.840.113549.1.9.1), "emailAddress"),
];

/// A distinguished name as RFC 4514 writes it: the last part first, joined by commas.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.iter().rev() {
        if !out.is_empty() {
            out.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                out.push('+');
            }
            write_attribute(attribute, &mut out);
        }
    }
    out
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let name = SHORT_NAMES.iter().find(|(oid, _)| oid == attribute.attr_type());
    if let Some((_, name)) = name
        && let Some(value) = attribute_text(attribute)
    {
        out.push_str(name);
        out.push('=');
        escape(&value, out);
        return;
    }
    // RFC 4514 section 2.4: what has no name of its own is given in the encoding.
    let _ = write!(out, "{}=#", attribute.attr_type().to_id_string());
    let value = attribute.attr_value();
    let content = value.as_bytes();
    let header = der_header(value.header.tag().0, content.len());
    push_hex(&header, out);
    push_hex(content, out);
}

/// The value as text, of whatever string type it is; none if it is none or not UTF-8.
fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    const BMP_STRING: u32 = 30;
    let value = attribute.attr_value();
    if value.header.tag().0 == BMP_STRING {
        let units = value.as_bytes().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).collect::<Result<String, _>>().ok();
    }
    attribute.as_str().ok().map(str::to_owned)
}

fn der_header(tag: u32, length: usize) -> Vec<u8> {
    let mut header = vec![(tag & 0x1f) as u8];
    if length < 0x80 {
        header.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        header.push(0x80 | (bytes.len() - skip) as u8);
        header.extend_from_slice(&bytes[skip..]);
    }
    header
}

/// RFC 4514 section 2.4; control characters as hexadecimal pairs, so that the text is safe in a field or a log.
fn escape(value: &str, out: &mut String) {
    let last = value.char_indices().last().map_or(0, |(index, _)| index);
    for (index, letter) in value.char_indices() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                out.push('\\');
                out.push(letter);
            }
            '#' | ' ' if index == 0 => {
                out.push('\\');
                out.push(letter);
            }
            ' ' if index == last => out.push_str("\\ "),
            letter if letter.is_control() => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            letter => out.push(letter),
        }
    }
}

fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// Bytes as hexadecimal digits, lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    push_hex(bytes, &mut out);
    out
}

/// The serial number as OpenSSL writes it: hexadecimal digits in pairs, upper case, without a sign byte.
pub(super) fn serial(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    hex(bytes).to_ascii_uppercase()
}

/// The names of the subject: DNS names in lower case and IP addresses; the common name where there is no SAN.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.trim_end_matches('.').to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.extend(ip_text(bytes)),
                _ => {}
            }
        }
    } else {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.filter(|name| is_name(name)).map(str::to_ascii_lowercase));
    }
    names.dedup();
    names
}

/// Every alternative name, with its kind before it as `openssl x509 -ext subjectAltName` has it.
pub(super) fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let texts = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        GeneralName::URI(name) => Some(format!("URI:{name}")),
        GeneralName::IPAddress(bytes) => ip_text(bytes).map(|ip| format!("IP:{ip}")),
        GeneralName::DirectoryName(name) => Some(format!("dirName:{}", distinguished_name(name))),
        _ => None,
    });
    texts.filter(|text| !text.contains(char::is_control)).collect()
}

fn is_name(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    !labels.is_empty()
        && labels.len() <= 253
        && labels.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn ip_text(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).to_string())
}

/// A time of a certificate; before 1970 is 1970.
pub(super) fn time(time: &ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Where to ask for the state of a certificate (RFC 6960), by its authority information access (RFC 5280 section
/// 4.2.2.1).
pub(super) fn ocsp_responder(certificate: &X509Certificate<'_>) -> Option<String> {
    let ocsp = oid!(1.3.6.1.5.5.7.48.1);
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().find_map(|description| match &description.access_location {
                GeneralName::URI(uri) if description.access_method == ocsp => Some((*uri).to_owned()),
                _ => None,
            })
        }
        _ => None,
    })
}

/// Whether the certificate may only be shown with an OCSP response: the TLS feature `status_request` (RFC 7633).
pub(super) fn must_staple(certificate: &X509Certificate<'_>) -> bool {
    let feature = oid!(1.3.6.1.5.5.7.1.24);
    certificate.extensions().iter().any(|extension| {
        // SEQUENCE OF INTEGER: one that is 5 (status_request).
        extension.oid == feature && extension.value.windows(3).any(|window| window == [2, 1, 5])
    })
}
