//! The gateway's ways out: connections to MCP servers, and its own calls to authorization servers.

pub mod egress;
