"""The magics themselves: thin doors to the rooms that do the work.

Each takes its line as it was written (IPython's own expansion of ``{...}`` would mangle calls) and
imports what it needs when it is used.
"""

# IPython's decorators have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from flyte_jupyter.catalog import current
from flyte_jupyter.notebook.cells import Cells
from flyte_jupyter.notebook.options import (
    ATTACH_OPTIONS,
    CELL_RUN_OPTIONS,
    CLEAN_OPTIONS,
    DEPLOY_OPTIONS,
    DEPLOYMENTS_OPTIONS,
    ENV_OPTIONS,
    EXPLAIN_OPTIONS,
    GRAPH_OPTIONS,
    IMAGES_OPTIONS,
    LAUNCH_OPTIONS,
    LOGS_OPTIONS,
    PS_OPTIONS,
    RERUN_OPTIONS,
    ROLLBACK_OPTIONS,
    RUN_OPTIONS,
    UNDEPLOY_OPTIONS,
    Option,
    help_text,
)

__all__ = ["FlyteMagics"]


def _helped(*tables: tuple[str, tuple[Option, ...]]) -> Any:
    """Add the options of a magic, from their tables, to the help that ``%magic?`` shows."""

    def decorate(function: Any) -> Any:
        parts = [cleandoc(function.__doc__)]
        parts += [f"{title}\n{help_text(options)}" for title, options in tables]
        function.__doc__ = "\n\n".join(parts) + "\n"
        return function

    return decorate


@magics_class
class FlyteMagics(Magics):  # type: ignore[misc]
    """Environments, runs and explanations.

    Args:
        shell: the IPython shell.
        cells: the cells that are being executed.
    """

    def __init__(self, shell: Any, cells: Cells) -> None:
        super().__init__(shell)
        self._cells = cells

    @_helped(("Options:", ENV_OPTIONS))
    @no_var_expand
    @line_cell_magic
    def flyte_env(self, line: str, cell: str | None = None) -> None:
        """Declare an environment; the functions of the cell become its tasks.

            %%flyte_env ml-training --pip pandas==2.2 scikit-learn --cpu 2 --memory 4Gi --gpu A100:2

            def train(rows: int = 100) -> float:
                ...

        NAME is bound as a variable (ml-training as ml_training) and so are the tasks. Every public
        function of the cell becomes a task, unless one carries @NAME.task: then only the
        decorated ones do. A function whose name begins with _ stays a plain helper. Nothing is
        declared if the cell fails. Values may use variables: --cpu {cores}, --image {my_image};
        single quotes keep braces as they are.
        """
        from flyte_jupyter.notebook.environment_cell import open_environment, play

        if cell is None:
            cells = self._cells
            open_environment(line, cells, cells.current(), self.shell, current())
        else:
            play(line, cell, self._cells, self.shell, current())

    @_helped(("Options:", RUN_OPTIONS), ("Options of %%flyte_run:", CELL_RUN_OPTIONS[:1]))
    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def flyte_run(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Run a task, show the run in the cell, and give the task's result.

            %flyte_run train(rows=1000)
            result = %flyte_run --on local --cpu 4 train(rows=1000)
            run = %flyte_run --no-wait train()

        The call is Python: any expression of the notebook may stand in its parentheses.
        Resources, cache, retries and timeout touch the task itself, the other options every task
        of the run. An interrupt ends the run with everything that it started.

            %%flyte_run [--env ENV] [options]

        runs the cell's own body there: it takes the variables that it reads from the notebook
        and brings back the ones that it assigns.
        """
        from flyte_jupyter.notebook.running import run_body, run_line

        if cell is not None:
            return run_body(line, "#\n" + cell, self.shell, current())
        return run_line(line, self._variables(local_ns), self.shell, current())

    @no_var_expand
    @cell_magic
    def _flyte_run_cell(self, line: str, cell: str) -> Any:
        """Run a body whose lines stand where they stood in its cell (see `transform`)."""
        from flyte_jupyter.notebook.running import run_body

        return run_body(line, cell, self.shell, current())

    @_helped(("Options:", LAUNCH_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_launch(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Open the form that launches a task.

            %flyte_launch train
            %flyte_launch train(rows=1000)
            %flyte_launch --run last

        It is made from the task's signature: every input with its type and its default, the target,
        the task queue, overrides, cache and name of the run. What does not fit is refused in place.
        With a run, the form has its inputs, its target, its queue and its overrides, open to
        change. What is written in parentheses stands in the form.
        """
        from flyte_jupyter.notebook.launch.line import launch_line

        return launch_line(line, self._variables(local_ns), self.shell, current())

    @_helped(("Options:", RERUN_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_rerun(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Run a recorded run again, of this kernel or of an earlier one.

            %flyte_rerun [RUN]
            %flyte_rerun train-1f2e3d4c(lr=0.2) --task-queue gpus --memory 8Gi

        The new run gets the inputs, the target, the queue and the overrides of the recorded one,
        and what the line says instead. Its task must be declared in this notebook; the code is
        that of now. Without a name, it is the last run.
        """
        from flyte_jupyter.notebook.running import rerun_line

        return rerun_line(line, self._variables(local_ns), self.shell)

    @_helped(("Options:", EXPLAIN_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_explain(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Say what a task would ship, where it would run, and what is wrong with it.

            %flyte_explain train
            %flyte_explain --on local train(rows=1000)

        Nothing runs.
        """
        from flyte_jupyter.notebook.running import explain_line

        return explain_line(line, self._variables(local_ns), current())

    @line_magic
    def flyte_envs(self, line: str) -> Any:
        """List the environments of the session with their tasks.

            %flyte_envs [NAME ...]

        Without a name, all of them.
        """
        from flyte_jupyter.notebook.listing import listing

        return listing(current(), line.split())

    @_helped(("Options:", LOGS_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_logs(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Show what a run wrote, with what its attempts used.

            %flyte_logs [RUN] [ACTION or TASK]

        Without a run, the last one of this notebook; runs of earlier kernels are found by name.
        RUN is a name, the beginning of one, or a variable that holds a run. A task alone means
        the last run that called it.
        """
        return self._verb("logs", line, local_ns)

    @_helped(("Options:", ATTACH_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_attach(self, line: str) -> Any:
        """Take up a run of another kernel, or of an earlier one: its phase, its result, its logs.

            %flyte_attach [RUN]

        A run whose kernel lives is followed, and an interrupt ends only that. What runs in a
        cluster outlives its kernel for ten minutes: then the run goes on here.
        """
        return self._verb("attach", line)

    @_helped(("Options:", PS_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_ps(self, line: str) -> Any:
        """List what kernels have on the targets: containers, networks, volumes, folders.

            %flyte_ps [--all]

        Shown is what this kernel has, and what kernels that have ended left behind.
        """
        return self._verb("ps", line)

    @_helped(("Options:", CLEAN_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_clean(self, line: str) -> Any:
        """Remove what kernels that have ended left behind.

            %flyte_clean [--dry-run]
            %flyte_clean NAME ...

        What belongs to a living kernel, or to one that cannot be seen from here, is removed only
        if it is named. What is not ours is never touched.
        """
        return self._verb("clean", line)

    @_helped(("Options:", IMAGES_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_images(self, line: str) -> Any:
        """List what was built for the targets, with its size, and remove it.

            %flyte_images [--remove-unused] [--remove NAME ...]

        Unused is what nothing that runs uses and no environment of this notebook asks for.
        """
        return self._verb("images", line)

    @_helped(("Options:", DEPLOY_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_deploy(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Deploy environments with all that they depend on, and show it while it goes on.

            %flyte_deploy [ENV ...] [--on TARGET] [--dry-run] [--version V]

        Without a name, all environments of the notebook. Each comes after what it depends on;
        what has not changed is left as it is. Deployed tasks can be called by name from other
        notebooks: flyte.reference_task("ml-training.train").
        """
        return self._verb("deploy", line, local_ns)

    @_helped(("Options:", DEPLOYMENTS_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_deployments(self, line: str) -> Any:
        """List what is deployed in this project, and what has changed since.

            %flyte_deployments [ENV ...] [--versions] [--all]

        Every environment has one current version, which calls by name get.
        """
        return self._verb("deployments", line)

    @_helped(("Options:", ROLLBACK_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_rollback(self, line: str) -> Any:
        """Make an earlier version of a deployed environment the current one.

            %flyte_rollback ENV [--version V]

        Without a version, the one that was current before.
        """
        return self._verb("rollback", line)

    @_helped(("Options:", UNDEPLOY_OPTIONS))
    @no_var_expand
    @line_magic
    def flyte_undeploy(self, line: str) -> Any:
        """Take deployed environments away with all their versions.

            %flyte_undeploy ENV ...

        What other deployed environments have taken over of their code stays with them.
        """
        return self._verb("undeploy", line)

    @_helped(("Options:", GRAPH_OPTIONS))
    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_graph(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Draw environments with all that they depend on, wave by wave as they are deployed.

            %flyte_graph [ENV ...] [--tasks] [--expand] [--save FILE.svg|dot|png|pdf]
            %flyte_graph --run RUN

        Without a name, all environments of the notebook. A run's calls are laid over the graph of
        those that it called, as dashed arrows: depends_on is no call.
        """
        return self._verb("graph", line, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_magic
    def flyte_panel(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Open the panel of an environment: what its tasks run under, to be seen and changed.

            %flyte_panel [ENV or TASK]

        What is changed there overrides what is declared, from the next run on, until it is reset.
        The panel gives the code that says the same, and proposes what runs have shown to be enough.
        """
        return self._verb("panel", line, local_ns)

    def _verb(self, name: str, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        from flyte_jupyter.notebook.arguments import parse
        from flyte_jupyter.notebook.verbs import VERBS

        verb, variables = VERBS[name], self._variables(local_ns)
        return verb.do(parse(line, verb.options, variables), variables, False)

    @no_var_expand
    @line_magic
    def flyte(self, line: str) -> Any:
        """Take Flyte's command line in a cell.

            %flyte run train --rows 1000 --task_queue gpus
            %flyte run FILE.py train --rows 1000
            %flyte logs | ps | clean | images | deploy | deployments | rollback | undeploy | graph
            %flyte panel

        Without a file, the task is one of this notebook. Inputs are typed by its signature.
        """
        from flyte_jupyter.notebook.command import run_command

        return run_command(line, self.shell, current())

    def _variables(self, local_ns: dict[str, Any] | None) -> dict[str, Any]:
        """Return the names that a line may use: the notebook's, and those of the function."""
        variables: dict[str, Any] = self.shell.user_ns
        if local_ns is None or local_ns is variables:
            return variables
        return {**variables, **local_ns}
