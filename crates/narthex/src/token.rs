//! `narthex token`: a development token for trying a route.

use crate::check::{complain, say};
use crate::cli::TokenArgs;
use crate::development;
use narthex_authority::TokenRequest;
use narthex_config::Config;
use narthex_config::model::{Route, RouteAuth};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// Prints a token.
pub(crate) fn token(args: &TokenArgs) -> ExitCode {
    let loaded = match narthex_config::load(&args.config.config) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return complain(&diagnostics.to_string()),
    };
    match mint(args, &loaded.config) {
        Ok(token) => say(&format!("{token}\n")),
        Err(error) => complain(&format!("error: {error}\n")),
    }
}

fn mint(args: &TokenArgs, config: &Config) -> Result<String, String> {
    let issuer = development::open(config)
        .map_err(|e| e.to_string())?
        .ok_or("only the embedded issuer gives tokens here: it needs `auth: { embedded: development }`")?;
    let route = route(args, config)?;
    let request = TokenRequest {
        subject: args.subject.clone(),
        tenant: tenant(args, config, route)?,
        scopes: scopes(args, route),
        audience: route.resource.clone(),
        client: args.client.clone(),
        lifetime: Duration::from_secs(args.lifetime),
    };
    issuer.mint(&request, SystemTime::now()).map_err(|e| e.to_string())
}

/// The route that was named, or the only one that wants a token.
fn route<'a>(args: &TokenArgs, config: &'a Config) -> Result<&'a Route, String> {
    if let Some(name) = &args.route {
        return config.routes.get(name.as_str()).ok_or_else(|| format!("there is no route {name}"));
    }
    let mut wanting = config.routes.values().filter(|r| r.auth == RouteAuth::Required);
    match (wanting.next(), wanting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err("no route wants a token".to_owned()),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = config.routes.keys().map(|id| id.as_str()).collect();
            Err(format!("say which route with --route: {}", names.join(", ")))
        }
    }
}

/// The tenant that was named, or the first that may use the route.
fn tenant(args: &TokenArgs, config: &Config, route: &Route) -> Result<String, String> {
    if let Some(name) = &args.tenant {
        return Ok(name.clone());
    }
    let granted = config.tenants.iter().find(|(_, tenant)| tenant.routes.contains(&route.id));
    granted
        .map(|(id, _)| id.as_str().to_owned())
        .ok_or_else(|| format!("no tenant may use the route {}", route.id))
}

fn scopes(args: &TokenArgs, route: &Route) -> Vec<String> {
    match &args.scope {
        Some(text) => text.split([' ', ',']).filter(|s| !s.is_empty()).map(str::to_owned).collect(),
        None => {
            let needed: BTreeSet<_> =
                route.scopes.iter().chain(route.tools.iter().flat_map(|t| &t.scopes)).collect();
            needed.into_iter().map(|s| s.as_str().to_owned()).collect()
        }
    }
}
