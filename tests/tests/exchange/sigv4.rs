//! AWS Signature Version 4 as the other side checks it, from AWS's own description and nothing of the gateway's:
//! https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use narthex_testkit::UpstreamRequest;

/// Checks a request as AWS would. `Err` says what is wrong with it.
pub(crate) fn check(request: &UpstreamRequest, secret: &str) -> Result<Checked, String> {
    let authorization = request.header("authorization").ok_or("no Authorization")?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another scheme")?;
    let field = |name: &str| -> Result<String, String> {
        let found = fields.split(", ").find_map(|field| field.strip_prefix(&format!("{name}=")));
        found.map(str::to_owned).ok_or_else(|| format!("no {name}"))
    };
    let (credential, signed, signature) =
        (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let [id, day, region, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
        return Err(format!("a credential of another form: {credential}"));
    };
    let body = hex(digest(&SHA256, &request.body).as_ref());
    if request.header("x-amz-content-sha256") != Some(&body) {
        return Err("the body is not the one that was signed".to_owned());
    }
    let names: Vec<&str> = signed.split(';').collect();
    for needed in ["host", "x-amz-date", "x-amz-content-sha256"] {
        if !names.contains(&needed) {
            return Err(format!("{needed} is not signed"));
        }
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut query: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mut text = format!("{}\n{}\n{}\n", request.method, path.replace('%', "%25"), query.join("&"));
    for name in &names {
        let value = request.header(name).ok_or_else(|| format!("{name} was signed and is not there"))?;
        text += &format!("{name}:{}\n", value.trim());
    }
    text += &format!("\n{signed}\n{body}");
    let date = request.header("x-amz-date").ok_or("no date")?;
    if !date.starts_with(day) {
        return Err("the date is another".to_owned());
    }
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text =
        format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(digest(&SHA256, text.as_bytes()).as_ref()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = sign(&key, part);
    }
    let expected = hex(&sign(&key, &text));
    if expected != signature {
        return Err("SignatureDoesNotMatch".to_owned());
    }
    Ok(Checked { id: id.to_owned(), region: region.to_owned(), service: service.to_owned(), signed })
}

/// What a good signature says.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    /// Names of the fields that it covers.
    pub(crate) signed: String,
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
