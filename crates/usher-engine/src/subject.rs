//! A request as the router sees it.

use std::net::IpAddr;

use usher_api::Exchange;
use usher_http::{FieldId, cookie};
use usher_route::Subject;

/// An exchange and the number of its listener.
pub(crate) struct Asking<'a> {
    pub exchange: &'a Exchange,
    pub listener: u32,
}

impl Subject for Asking<'_> {
    fn host(&self) -> &str {
        &self.exchange.request.host
    }

    fn path(&self) -> &str {
        &self.exchange.request.path
    }

    fn method(&self) -> &str {
        self.exchange.request.method.as_str()
    }

    fn query(&self) -> &str {
        self.exchange.request.query.as_deref().unwrap_or_default()
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let request = &self.exchange.request;
        if name == "host" {
            return test(request.authority.as_bytes());
        }
        request.fields.all_named(name.as_bytes()).any(test)
    }

    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let fields = self.exchange.request.fields.all(FieldId::Cookie);
        fields.flat_map(cookie::pairs).any(|(key, value)| key == name.as_bytes() && test(value))
    }

    fn client(&self) -> Option<IpAddr> {
        self.exchange.client.ip
    }

    fn listener(&self) -> u32 {
        self.listener
    }
}

/// The same request with another path.
pub(crate) struct Reading<'a> {
    pub asking: Asking<'a>,
    pub path: &'a str,
}

impl Subject for Reading<'_> {
    fn host(&self) -> &str {
        self.asking.host()
    }

    fn path(&self) -> &str {
        self.path
    }

    fn method(&self) -> &str {
        self.asking.method()
    }

    fn query(&self) -> &str {
        self.asking.query()
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.asking.any_header(name, test)
    }

    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.asking.any_cookie(name, test)
    }

    fn client(&self) -> Option<IpAddr> {
        self.asking.client()
    }

    fn listener(&self) -> u32 {
        self.asking.listener()
    }
}
