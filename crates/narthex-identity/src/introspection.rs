//! Asking an issuer about an opaque token (RFC 7662).

use crate::client_auth::{SecretSource, credentials};
use crate::jwt::claims::{ClaimRules, Verified};
use crate::object::Object;
use crate::{Binding, TokenError};
use narthex_config::model::Introspection;
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a token that nobody knows is refused without asking again.
pub(crate) const NEGATIVE_CACHE: Duration = Duration::from_secs(10);

/// What an issuer says about a token.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is good, for the audiences that it names.
    Active(Verified),
    /// It does not know it, or it has ended.
    Inactive,
    /// It knows it, and it is not good here.
    Refused(TokenError),
    /// Nothing that could be understood.
    Unavailable(String),
}

/// What asking takes.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) egress: Egress,
    pub(crate) events: Events,
}

impl Asker {
    /// Asks one issuer.
    pub(crate) async fn ask(
        &self,
        endpoint: &Introspection,
        rules: &ClaimRules,
        token: &str,
        now: SystemTime,
    ) -> Answer {
        let answer = match self.post(endpoint, &rules.issuer, token, now).await {
            Ok(body) => read(&body, rules, endpoint.cache, now),
            Err(problem) => Answer::Unavailable(problem),
        };
        let result = match &answer {
            Answer::Active(_) => "active",
            Answer::Inactive | Answer::Refused(_) => "inactive",
            Answer::Unavailable(problem) => {
                tracing::warn!(issuer = &*rules.issuer, problem, "introspection failed");
                "error"
            }
        };
        self.events.introspected(&rules.issuer, result);
        answer
    }

    async fn post(
        &self,
        endpoint: &Introspection,
        issuer: &str,
        token: &str,
        now: SystemTime,
    ) -> Result<String, String> {
        let own = credentials(&endpoint.client, issuer, &*self.secrets, now)?;
        let mut form = vec![("token", token), ("token_type_hint", "access_token")];
        form.extend(own.form.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = self
            .egress
            .post_form(&endpoint.url, &form, own.authorization)
            .await
            .map_err(|error| error.to_string())?;
        if answer.status.as_u16() != 200 {
            return Err(format!("status {}", answer.status.as_u16()));
        }
        String::from_utf8(answer.body.into()).map_err(|_| String::from("the answer is not UTF-8"))
    }
}

/// Reads the answer (RFC 7662 §2.2). Without an `exp`, the token is good for as long as the answer
/// may be cached.
fn read(body: &str, rules: &ClaimRules, cache: Duration, now: SystemTime) -> Answer {
    let Some(answer) = Object::parse(body) else {
        return Answer::Unavailable(String::from("the answer is no JSON object"));
    };
    match answer.get::<bool>("active") {
        Ok(Some(true)) => {}
        Ok(Some(false)) => return Answer::Inactive,
        _ => return Answer::Unavailable(String::from("the answer does not say if the token is active")),
    }
    let verified = check_kind(&answer, rules).and_then(|()| rules.read(&answer, Some(now + cache), now));
    match verified {
        Ok(verified) => Answer::Active(Verified { until: verified.until.min(now + cache), ..verified }),
        Err(error) => Answer::Refused(error),
    }
}

/// An active refresh token is no access token, nor is a token of another issuer.
fn check_kind(answer: &Object<'_>, rules: &ClaimRules) -> Result<(), TokenError> {
    let text = |name| answer.get::<String>(name).map_err(|_| TokenError::BadClaims);
    if text("iss")?.is_some_and(|issuer| *issuer != *rules.issuer) {
        return Err(TokenError::UnknownIssuer);
    }
    let is = |text: &Option<String>, names: &[&str]| {
        text.as_ref().is_none_or(|text| names.iter().any(|name| name.eq_ignore_ascii_case(text)))
    };
    let token_type = text("token_type")?;
    // It says that it is bound (RFC 9449 §6.2): then it must say to which key, too.
    let is_bound = token_type.as_ref().is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
    if is_bound && Binding::read(answer)?.is_none_or(|binding| binding.key.is_none()) {
        return Err(TokenError::SenderConstrained);
    }
    // Some servers answer here with what others call `token_use`.
    if is(&token_type, &["Bearer", "access_token", "DPoP"])
        && is(&text("token_use")?, &["access_token", "access"])
    {
        Ok(())
    } else {
        Err(TokenError::Type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "active": true, "sub": "alice", "aud": fixtures::RESOURCE, "exp": fixtures::NOW + 100,
            "iss": fixtures::ISSUER, "client_id": "cli", "scope": "mcp:read", "org_id": "acme",
            "token_type": "Bearer",
        })
    }

    fn answer(answer: &Value) -> Answer {
        read(&answer.to_string(), &fixtures::rules(), Duration::from_secs(60), fixtures::now())
    }

    fn with(name: &str, value: Value) -> Answer {
        let mut changed = good();
        changed[name] = value;
        answer(&changed)
    }

    #[test]
    fn an_active_token_is_good_until_the_answer_is_too_old() {
        let Answer::Active(verified) = answer(&good()) else { panic!() };
        assert_eq!(&*verified.caller.subject, "alice");
        assert_eq!(verified.until, fixtures::now() + Duration::from_secs(60));
        assert_eq!(verified.caller.expires, Some(fixtures::now() + Duration::from_secs(100)));
        assert!(verified.for_resource(fixtures::RESOURCE).is_ok());
    }

    #[test]
    fn without_an_expiry_it_is_good_as_long_as_the_answer() {
        let mut bare = good();
        bare.as_object_mut().unwrap().remove("exp");
        let Answer::Active(verified) = answer(&bare) else { panic!() };
        assert_eq!(verified.caller.expires, Some(fixtures::now() + Duration::from_secs(60)));
    }

    #[test]
    fn what_is_active_and_yet_no_good_here_is_refused() {
        for (name, value, error) in [
            ("iss", json!("https://other.example"), TokenError::UnknownIssuer),
            ("iss", json!(1), TokenError::BadClaims),
            ("token_type", json!("DPoP"), TokenError::SenderConstrained),
            ("token_type", json!("refresh_token"), TokenError::Type),
            ("token_use", json!("refresh_token"), TokenError::Type),
            ("cnf", json!({"jkt": "x"}), TokenError::SenderConstrained),
            ("cnf", json!({}), TokenError::SenderConstrained),
            ("exp", json!(fixtures::NOW - 31), TokenError::Expired),
            ("exp", json!("1"), TokenError::BadClaims),
            ("nbf", json!(fixtures::NOW + 31), TokenError::NotYetValid),
            ("sub", json!(""), TokenError::NoSubject),
            ("org_id", json!(["acme"]), TokenError::NoTenant),
        ] {
            let answer = with(name, value.clone());
            assert!(matches!(answer, Answer::Refused(e) if e == error), "{name}: {value}: {answer:?}");
        }
        let mut bare = good();
        bare.as_object_mut().unwrap().remove("aud");
        assert!(matches!(answer(&bare), Answer::Refused(TokenError::WrongAudience)));
    }

    #[test]
    fn only_a_plain_true_is_active() {
        assert!(matches!(with("active", json!(false)), Answer::Inactive));
        for active in [json!("true"), json!(1), json!(null)] {
            assert!(matches!(with("active", active), Answer::Unavailable(_)));
        }
        let twice = r#"{"active":false,"active":true}"#;
        let read = |body| read(body, &fixtures::rules(), Duration::ZERO, fixtures::now());
        assert!(matches!(read(twice), Answer::Unavailable(_)));
        assert!(matches!(read("<html>"), Answer::Unavailable(_)));
    }
}
