//! The explanation as JSON.

use usher_api::Would;
use usher_config::serde_json::{Value, json};

use super::{Change, DestinationChosen, Explanation, FilterRun, Mark, OwnReply, RouteFound, Sent, Setting};

impl Explanation {
    /// The explanation for programs. Keys are only ever added; what does not apply is null.
    pub fn to_json(&self) -> Value {
        json!({
            "request": { "method": self.asked.0, "url": self.asked.1 },
            "listener": self.listener,
            "client": {
                "peer": self.client.peer.map(|ip| ip.to_string()),
                "ip": self.client.ip.map(|ip| ip.to_string()),
                "trusted": self.client.trusted,
            },
            "meaning": self.meaning.as_ref().map(|meaning| json!({
                "host": meaning.host,
                "path": meaning.path,
                "path_came": meaning.path_came,
                "query": meaning.query,
                "upgrade": meaning.upgrade,
            })),
            "refusal": self.refusal.as_ref().map(|refusal| json!({
                "step": refusal.step,
                "status": refusal.status,
                "what": refusal.what,
                "why": refusal.why,
            })),
            "route": self.route.as_ref().map(of_route),
            "filters": self.filters.iter().map(of_filter).collect::<Vec<_>>(),
            "answer": self.reply.as_ref().map(of_reply),
            "destination": self.destination.as_ref().map(of_destination),
            "upstream": self.upstream.as_ref().map(of_sent),
            "limits": of_settings(&self.limits),
            "timeouts": of_settings(&self.timeouts),
            "notes": self.notes,
        })
    }
}

fn of_route(route: &RouteFound) -> Value {
    let near = route.near.iter().map(|(name, why)| json!({ "route": name, "why": why }));
    json!({
        "name": route.name,
        "host": route.host,
        "path": route.path,
        "captures": pairs(&route.captures),
        "allowed_methods": route.allowed,
        "near_misses": near.collect::<Vec<_>>(),
        "more_near_misses": route.more,
    })
}

fn of_filter(filter: &FilterRun) -> Value {
    let (would, status) = match filter.would {
        Would::Continue => ("continue", None),
        Would::Respond(status) => ("respond", Some(status)),
        Would::Ask => ("ask", None),
    };
    json!({
        "name": filter.name,
        "phase": filter.phase.as_str(),
        "set_to": filter.set_to,
        "would": would,
        "status": status,
        "verdict": filter.verdict,
        "changes": filter.changes.iter().map(of_change).collect::<Vec<_>>(),
        "ends": filter.ends(),
    })
}

fn of_change(change: &Change) -> Value {
    json!({ "part": change.part, "from": change.from, "to": change.to })
}

fn of_reply(reply: &OwnReply) -> Value {
    json!({
        "status": reply.status,
        "reason": reply.reason,
        "fields": pairs(&reply.fields),
        "body": reply.body,
    })
}

fn of_destination(to: &DestinationChosen) -> Value {
    let shares = to.shares.iter().map(|(cluster, percent)| json!({ "cluster": cluster, "percent": percent }));
    let endpoints = to.endpoints.iter().map(|(label, weight)| json!({ "endpoint": label, "weight": weight }));
    json!({
        "cluster": to.cluster,
        "how": to.how,
        "shares": shares.collect::<Vec<_>>(),
        "balance": to.balance,
        "endpoints": endpoints.collect::<Vec<_>>(),
        "endpoint": to.endpoint,
    })
}

fn of_sent(sent: &Sent) -> Value {
    let fields = sent.fields.iter().map(|field| {
        json!({ "name": field.name, "value": field.value, "written_by_usher": field.mark == Mark::Written })
    });
    json!({
        "line": sent.line,
        "line_came": sent.came,
        "fields": fields.collect::<Vec<_>>(),
        "dropped": pairs(&sent.dropped),
        "body": sent.body,
    })
}

fn of_settings(settings: &[Setting]) -> Value {
    let one = |setting: &Setting| json!({ "name": setting.name, "value": setting.value, "of": setting.of });
    settings.iter().map(one).collect()
}

/// A list rather than an object: names may repeat.
fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}
