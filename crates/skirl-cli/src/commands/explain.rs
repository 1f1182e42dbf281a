//! `skirl explain`: the plan before the first step, and the options in words.

use skirl::config::help;

use crate::args::ExplainArgs;
use crate::config_source;
use crate::exit::{ExitStatus, Failure};
use crate::output;
use crate::progress::terminal_width;

pub(crate) fn run(args: &ExplainArgs) -> Result<ExitStatus, Failure> {
    if let Some(section) = &args.options {
        return options(args.source.run.as_deref(), section);
    }
    let configured = config_source::read(&args.source)?;
    let plan = skirl::plan::explain(&*configured.config).map_err(|error| Failure::at_start(&error))?;
    if args.json {
        output::line(&format!("{:#}", plan.to_value()));
        return Ok(ExitStatus::Success);
    }
    for remark in configured.remarks {
        output::remark(&remark);
    }
    output::line(plan.to_string().trim_end());
    Ok(ExitStatus::Success)
}

/// Help on the options of a section, or of all.
pub(crate) fn options(algorithm: Option<&str>, section: &str) -> Result<ExitStatus, Failure> {
    let section = (!section.is_empty()).then_some(section);
    let text = help(algorithm.unwrap_or("PPO"), section, terminal_width())?;
    output::line(text.trim_end());
    Ok(ExitStatus::Success)
}
