//! Tokens that a resource server must refuse.

use super::keys::{Alg, SigningKeys, url64};
use super::{Jws, MockIdp};
use serde_json::{Map, Value, json};

/// A token to be refused, and why.
#[derive(Clone, Debug)]
pub struct HostileToken {
    /// What is wrong with it.
    pub name: &'static str,
    /// The token.
    pub token: String,
}

/// All of them. Each differs from a good token in the one thing that its name says.
pub(super) fn tokens(idp: &MockIdp, audience: &str) -> Vec<HostileToken> {
    let forge = Forge { idp, audience, keys: &idp.keys(), attacker: &SigningKeys::generate("attacker") };
    [
        forge.signatures(),
        forge.algorithms(),
        forge.headers(),
        forge.claims(),
        forge.payloads(),
        forge.shapes(),
    ]
    .into_iter()
    .flatten()
    .map(|(name, token)| HostileToken { name, token })
    .collect()
}

type Named = Vec<(&'static str, String)>;

struct Forge<'a> {
    idp: &'a MockIdp,
    audience: &'a str,
    keys: &'a SigningKeys,
    attacker: &'a SigningKeys,
}

impl Forge<'_> {
    /// Good so far.
    fn jws(&self, alg: Alg) -> Jws {
        self.idp.jws(alg, &self.idp.claims(self.audience))
    }

    fn good(&self) -> String {
        self.jws(Alg::RS256).sign(self.keys)
    }

    fn with_header(&self, header: Value) -> String {
        self.jws(Alg::RS256).header(header).sign(self.keys)
    }

    /// A good token with these claims in the place of the same ones, or, where null, without.
    fn with(&self, changed: Value) -> String {
        let mut claims = self.idp.claims(self.audience);
        let members = claims.as_object_mut().expect("claims are an object");
        let Value::Object(changed) = changed else { panic!("an object of claims") };
        for (name, value) in changed {
            match value {
                Value::Null => members.remove(&name),
                value => members.insert(name, value),
            };
        }
        self.idp.mint(Alg::RS256, &claims)
    }

    /// A good token whose payload is its claims and then `more`, members as text.
    fn with_more(&self, more: &str) -> String {
        let claims = self.idp.claims(self.audience).to_string();
        let payload = format!("{},{more}}}", claims.trim_end_matches('}'));
        self.jws(Alg::RS256).raw_payload(payload).sign(self.keys)
    }

    fn signatures(&self) -> Named {
        let good = self.good();
        let (input, signature) = good.rsplit_once('.').expect("three parts");
        let other = self.idp.token_with(self.audience, json!({"sub": "mallory"}));
        let (mallory, _) = other.rsplit_once('.').expect("three parts");
        let mut flipped = self.keys.sign(Alg::RS256, input.as_bytes());
        flipped[100] ^= 1;
        let ec = self.jws(Alg::ES256);
        vec![
            ("the signature is empty", format!("{input}.")),
            ("the signature is left out", input.to_owned()),
            ("the signature is cut short", good[..good.len() - 8].to_owned()),
            ("the signature has a bit flipped", self.jws(Alg::RS256).signed_by(&flipped)),
            ("the signature is of another token", format!("{mallory}.{signature}")),
            ("the signature is all zeros (RS256)", self.jws(Alg::RS256).signed_by(&[0; 256])),
            ("the signature is all zeros (ES256)", ec.signed_by(&[0; 64])),
            ("the signature is all zeros (EdDSA)", self.jws(Alg::EdDSA).signed_by(&[0; 64])),
            (
                "the signature is r = s = 1 (ES256)",
                ec.signed_by(&[[0; 31].as_slice(), &[1], &[0; 31], &[1]].concat()),
            ),
            ("signed by an attacker under our key id (RS256)", self.jws(Alg::RS256).sign(self.attacker)),
            ("signed by an attacker under our key id (ES256)", ec.sign(self.attacker)),
            ("signed by an attacker under our key id (EdDSA)", self.jws(Alg::EdDSA).sign(self.attacker)),
        ]
    }

    fn algorithms(&self) -> Named {
        let hmac =
            |header: Value, secret: &str| self.jws(Alg::RS256).header(header).sign_hmac(secret.as_bytes());
        let none = |alg: &str| self.jws(Alg::RS256).header(json!({"alg": alg})).signed_by(b"");
        let pem = self.keys.rsa_public_pem();
        let hs256 = || json!({"alg": "HS256"});
        let kid = |alg: Alg| self.keys.kid(alg);
        vec![
            ("alg none", none("none")),
            ("alg None", none("None")),
            ("alg NONE", none("NONE")),
            ("alg nOnE", none("nOnE")),
            (
                "alg none without a key id",
                self.jws(Alg::RS256).header(json!({"alg": "none", "kid": null})).signed_by(b""),
            ),
            ("alg none with a good signature", self.with_header(json!({"alg": "none"}))),
            ("alg HS256 with the public key as secret", hmac(hs256(), &pem)),
            (
                "alg HS256 with the public key as secret, without its last newline",
                hmac(hs256(), pem.trim_end()),
            ),
            ("alg HS256 with the JWK as secret", hmac(hs256(), &self.keys.jwk(Alg::RS256).to_string())),
            ("alg HS256 with an empty secret", hmac(hs256(), "")),
            ("alg HS256 without a key id", hmac(json!({"alg": "HS256", "kid": null}), &pem)),
            (
                "alg HS256 with the modulus as secret",
                hmac(hs256(), self.keys.jwk(Alg::RS256)["n"].as_str().unwrap_or("")),
            ),
            ("alg missing", self.with_header(json!({"alg": null}))),
            ("alg in lower case", self.with_header(json!({"alg": "rs256"}))),
            ("alg a number", self.with_header(json!({"alg": 256}))),
            ("alg a list", self.with_header(json!({"alg": ["RS256"]}))),
            ("alg RS512 over an RS256 signature", self.with_header(json!({"alg": "RS512"}))),
            ("alg PS256 over an RS256 signature", self.with_header(json!({"alg": "PS256"}))),
            (
                "alg ES256 with the id of the RSA key",
                self.jws(Alg::ES256).header(json!({"kid": kid(Alg::RS256)})).sign(self.keys),
            ),
            ("alg RS256 with the id of the P-256 key", self.with_header(json!({"kid": kid(Alg::ES256)}))),
            (
                "alg EdDSA with the id of the RSA key",
                self.jws(Alg::EdDSA).header(json!({"kid": kid(Alg::RS256)})).sign(self.keys),
            ),
        ]
    }

    fn headers(&self) -> Named {
        let attacker = |header: Value| self.jws(Alg::RS256).header(header).sign(self.attacker);
        let jwk = self.attacker.jwk(Alg::RS256);
        let twice = format!(r#"{{"alg":"none","alg":"RS256","kid":"{}"}}"#, self.keys.kid(Alg::RS256));
        let raw = |header: &str| self.jws(Alg::RS256).raw_header(header).sign(self.keys);
        vec![
            (
                "crit names an unknown extension",
                self.with_header(json!({"crit": ["x-unknown"], "x-unknown": 1})),
            ),
            ("crit names an absent extension", self.with_header(json!({"crit": ["x-absent"]}))),
            ("crit is empty", self.with_header(json!({"crit": []}))),
            ("crit is no list", self.with_header(json!({"crit": "exp"}))),
            ("crit turns base64 off", self.with_header(json!({"crit": ["b64"], "b64": false}))),
            ("the header brings its key", attacker(json!({"jwk": jwk, "kid": jwk["kid"]}))),
            ("the header brings its key under our key id", attacker(json!({"jwk": jwk}))),
            (
                "the header brings a key URL",
                attacker(json!({"jku": "http://127.0.0.1:9/jwks", "kid": jwk["kid"]})),
            ),
            ("the header brings a certificate URL", attacker(json!({"x5u": "http://127.0.0.1:9/cert"}))),
            ("the header brings a certificate", attacker(json!({"x5c": ["MIIB"]}))),
            ("an unknown key id", self.with_header(json!({"kid": "unknown"}))),
            ("an empty key id", attacker(json!({"kid": ""}))),
            ("a key id that is a path", attacker(json!({"kid": "../../../dev/null"}))),
            ("a key id that is SQL", attacker(json!({"kid": "' UNION SELECT 'x' --"}))),
            ("a key id that is a number", self.with_header(json!({"kid": 1}))),
            ("a key id of 16 KiB", attacker(json!({"kid": "k".repeat(16 * 1024)}))),
            ("an attacker's token without a key id", attacker(json!({"kid": null}))),
            ("alg twice", raw(&twice)),
            ("a header that is a list", raw("[]")),
            ("a header that is a string", raw("\"RS256\"")),
            ("a header that is not JSON", raw("alg=RS256")),
            ("a header with trailing data", raw(r#"{"alg":"RS256"}{}"#)),
        ]
    }

    fn claims(&self) -> Named {
        [self.issuers_and_subjects(), self.audiences(), self.times()].concat()
    }

    fn issuers_and_subjects(&self) -> Named {
        let issuer = self.idp.issuer();
        vec![
            ("iss missing", self.with(json!({"iss": null}))),
            ("iss of someone else", self.with(json!({"iss": "https://evil.example.com"}))),
            ("iss with a slash more", self.with(json!({"iss": format!("{issuer}/")}))),
            ("iss in upper case", self.with(json!({"iss": issuer.to_uppercase()}))),
            ("iss that starts like ours", self.with(json!({"iss": format!("{issuer}.evil.example.com")}))),
            ("iss a list with ours", self.with(json!({"iss": [issuer]}))),
            ("sub missing", self.with(json!({"sub": null}))),
            ("sub empty", self.with(json!({"sub": ""}))),
            ("sub a number", self.with(json!({"sub": 0}))),
            ("sub a list", self.with(json!({"sub": ["alice"]}))),
            ("tenant missing", self.with(json!({"org_id": null}))),
            ("tenant empty", self.with(json!({"org_id": ""}))),
            ("tenant a list", self.with(json!({"org_id": ["acme", "globex"]}))),
        ]
    }

    fn audiences(&self) -> Named {
        let ours = self.audience;
        let without_path = ours.rsplit_once('/').map_or(ours, |(parent, _)| parent);
        vec![
            ("aud missing", self.with(json!({"aud": null}))),
            ("aud empty", self.with(json!({"aud": ""}))),
            ("aud of someone else", self.with(json!({"aud": "https://evil.example.com/mcp"}))),
            ("aud an empty list", self.with(json!({"aud": []}))),
            ("aud a list without ours", self.with(json!({"aud": ["https://a.example.com", "account"]}))),
            ("aud an object", self.with(json!({"aud": {"0": ours}}))),
            ("aud a number", self.with(json!({"aud": 1}))),
            ("aud true", self.with(json!({"aud": true}))),
            ("aud with a slash more", self.with(json!({"aud": format!("{ours}/")}))),
            ("aud without the last part of the path", self.with(json!({"aud": without_path}))),
            ("aud that starts like ours", self.with(json!({"aud": format!("{ours}-other")}))),
            ("aud in upper case", self.with(json!({"aud": ours.to_uppercase()}))),
            ("aud with a query", self.with(json!({"aud": format!("{ours}?a=b")}))),
            ("aud a wildcard", self.with(json!({"aud": "*"}))),
            ("aud twice, ours first", self.with_more(r#""aud":"https://evil.example.com""#)),
        ]
    }

    fn times(&self) -> Named {
        let now = self.idp.claims(self.audience)["iat"].as_i64().unwrap_or_default();
        vec![
            ("expired an hour ago", self.with(json!({"exp": now - 3600}))),
            ("expired long ago", self.with(json!({"exp": 1}))),
            ("exp zero", self.with(json!({"exp": 0}))),
            ("exp negative", self.with(json!({"exp": -1}))),
            ("exp missing", self.with(json!({"exp": null}))),
            ("exp a string", self.with(json!({"exp": (now + 600).to_string()}))),
            ("exp a list", self.with(json!({"exp": [now + 600]}))),
            ("exp true", self.with(json!({"exp": true}))),
            ("exp twice, the past last", self.with_more(r#""exp":1"#)),
            ("not valid before tomorrow", self.with(json!({"nbf": now + 86_400}))),
            ("nbf a string", self.with(json!({"nbf": (now + 86_400).to_string()}))),
        ]
    }

    fn payloads(&self) -> Named {
        let raw = |payload: &[u8]| self.jws(Alg::RS256).raw_payload(payload).sign(self.keys);
        let claims = self.idp.claims(self.audience).to_string();
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        vec![
            ("an empty payload", raw(b"")),
            ("a payload without claims", raw(b"{}")),
            ("a payload that is a list of claims", raw(format!("[{claims}]").as_bytes())),
            ("a payload that is a string", raw(json!(claims).to_string().as_bytes())),
            ("a payload that is not JSON", raw(b"sub=alice")),
            ("a payload with trailing data", raw(format!("{claims}{claims}").as_bytes())),
            ("a payload that is not UTF-8", raw(&[claims.as_bytes(), &[0xff]].concat())),
            ("a payload 4000 lists deep", raw(deep.as_bytes())),
            ("a payload that is null", raw(b"null")),
        ]
    }

    fn shapes(&self) -> Named {
        let good = self.good();
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("three parts") };
        let mut loose = signature.to_owned();
        let last = loose.pop().expect("a signature");
        // 2048 bits end inside the last letter: the next letter differs in bits that do not count.
        loose.push(char::from(last as u8 + 1));
        let json = Map::from_iter([
            ("protected".to_owned(), json!(header)),
            ("payload".to_owned(), json!(payload)),
            ("signature".to_owned(), json!(signature)),
        ]);
        vec![
            ("a fourth part", format!("{good}.{signature}")),
            ("five parts, like an encrypted token", format!("{good}.{}.{}", url64(b"iv"), url64(b"tag"))),
            ("a dot more at the end", format!("{good}.")),
            ("a dot more at the start", format!(".{good}")),
            ("dots alone", "..".to_owned()),
            ("an empty header", format!(".{payload}.{signature}")),
            ("padding", format!("{header}.{payload}.{signature}==")),
            ("loose bits at the end of the signature", format!("{header}.{payload}.{loose}")),
            ("the whole token in base64 once more", url64(good.as_bytes())),
            ("percent-encoded dots", good.replace('.', "%2E")),
            ("the JSON form of a signature", Value::Object(json).to_string()),
            ("letters that are not base64", format!("{header}.{payload}.{}", "!".repeat(342))),
            ("an unknown opaque token", "c2VjcmV0LW9wYXF1ZS10b2tlbg".to_owned()),
        ]
    }
}
