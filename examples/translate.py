"""Train, evaluate and use a translator with attention, Chinese to English unless the data says
otherwise.

    python examples/translate.py                         train on the built-in corpus, then report
    python examples/translate.py train --data FILE       train on lines of source TAB target
    python examples/translate.py train --model transformer
    python examples/translate.py train --resume          go on with a run that was stopped
    python examples/translate.py evaluate                report on the model trained last
    python examples/translate.py compare RUN1 RUN2       which of two models is better
    python examples/translate.py translate 我喜欢看书。     translate (a sentence, --file, or stdin)
    mpiexec -n 4 python examples/translate.py train      train in four processes

The models stand whole in translator_rnn.py and translator_transformer.py. The program around them
is the package translator/, of which translator/training.py is the file to read first.
"""

import io
import sys

from translator.evaluation import compare, evaluate
from translator.options import end, parsed, print_nowhere
from translator.training import train
from translator.translating import translate

from tinyattn import parallel
from tinyattn.text import DataError


def main(arguments: list[str]) -> None:
    """Run one command; wrong input, a full disk and Ctrl-C end in one line on standard error."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        args = parsed(arguments, __doc__)
        if parallel.get_rank():  # the first process prints for all
            print_nowhere()
        if parallel.get_world_size() > 1 and args.command != "train":
            raise DataError(f"mpiexec: expected the command train, got {args.command}")
        commands = {f.__name__: f for f in (train, evaluate, compare, translate)}
        commands[args.command](args)
    except DataError as error:
        end(str(error), 2)
    except BrokenPipeError:  # the reader, head for one, has enough
        print_nowhere()
    except OSError as error:
        end(f"{error.filename or 'output'}: expected to read or write it: {error.strerror}", 2)
    except MemoryError as error:
        end(f"out of memory: {error}", 2)
    except KeyboardInterrupt:
        end("stopped", 130)


if __name__ == "__main__":
    main(sys.argv[1:])
