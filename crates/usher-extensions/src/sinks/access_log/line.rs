//! What every format says of a request.

use usher_api::RecordView;
use usher_http::FieldId;

/// A request that becomes a line.
pub(super) struct Line<'a> {
    pub(super) view: &'a RecordView<'a>,
    /// Whether queries are logged.
    pub(super) query: bool,
}

impl Line<'_> {
    /// The target as it came; empty if the head could not be parsed.
    pub(super) fn target(&self) -> &[u8] {
        self.without_query(self.view.target)
    }

    /// The page that the client came from.
    pub(super) fn referer(&self) -> &[u8] {
        self.without_query(self.view.exchange.request.fields.get_named(b"referer").unwrap_or_default())
    }

    /// The client's software.
    pub(super) fn user_agent(&self) -> &[u8] {
        self.view.exchange.request.fields.get(FieldId::UserAgent).unwrap_or_default()
    }

    /// What endpoints failed at, and more on the reason. `held` is where it is put together.
    pub(super) fn detail<'b>(&'b self, held: &'b mut String) -> &'b str {
        let exchange = self.view.exchange;
        match (exchange.failures.as_str(), exchange.record.detail) {
            ("", detail) => detail,
            (failures, "") => failures,
            (failures, detail) => {
                held.extend([failures, "; ", detail]);
                held
            }
        }
    }

    fn without_query<'b>(&self, url: &'b [u8]) -> &'b [u8] {
        let end = url.iter().position(|byte| *byte == b'?').filter(|_| !self.query);
        &url[..end.unwrap_or(url.len())]
    }
}
