//! `skirl config`: schema and reference of configuration files.

use skirl::config::{json_schema, markdown};

use crate::args::{ConfigArgs, ConfigText};
use crate::exit::{ExitStatus, Failure};
use crate::output;

pub(crate) fn run(args: &ConfigArgs) -> Result<ExitStatus, Failure> {
    let text = match args.what {
        ConfigText::Schema => format!("{:#}", json_schema(&args.run)?),
        ConfigText::Docs => markdown(&args.run)?,
    };
    output::line(text.trim_end());
    Ok(ExitStatus::Success)
}
