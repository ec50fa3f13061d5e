package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/store"
)

func newNotesCommand(getenv func(string) string) *cobra.Command {
	const areas = process | database | notes
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Encrypt all private notes anew that are not under the primary key of the keyset",
		Long: "Encrypt all private notes anew that are not under the primary key of the keyset. It may be stopped and started again, " +
			"and run while the service runs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), getenv, areas)
			if err != nil {
				return err
			}
			return rotateNotes(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	addFlags(rotate.Flags(), areas)
	parent := &cobra.Command{Use: "notes", Short: "Manage the encryption of private notes"}
	parent.AddCommand(rotate, newKeysetCommand(getenv))
	return parent
}

func rotateNotes(ctx context.Context, cfg Config, out io.Writer) error {
	keys, err := encryption.NewKeys(cfg.NotesKeyset, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return fmt.Errorf("%s: %w", envNotesKeysetFile, err)
	}
	db, closeDatabase, err := openForCommand(cfg)
	if err != nil {
		return err
	}
	defer closeDatabase()
	p, err := note.Rotate(ctx, store.NewNotes(db), keys, func(p note.Progress) error {
		_, err := fmt.Fprintf(out, "%d encrypted anew, %d changed meanwhile, %d left alone\n", p.Done, p.Skipped, len(p.Failed))
		return err
	})
	switch {
	case errors.Is(err, encryption.ErrNoKeys):
		return fmt.Errorf("%s: is required; set it to the path of the file with the keyset", envNotesKeysetFile)
	case err != nil:
		return fmt.Errorf("encrypting notes anew: %w", err)
	case len(p.Failed) > 0:
		return fmt.Errorf("the notes on %d scores could not be decrypted with this keyset and were left alone; "+
			"drop no key before they are: %s", len(p.Failed), strings.Join(p.Failed[:min(len(p.Failed), maxNamed)], ", "))
	}
	_, err = fmt.Fprintf(out, "all notes are under the key %d; the others may be dropped once every process has this keyset\n", p.Key)
	return err
}

// maxNamed is how many scores an error names.
const maxNamed = 10

// newKeysetCommand makes and changes keysets. They go from a file to standard output, so that a keyset is replaced by whoever
// keeps it, as a whole.
func newKeysetCommand(getenv func(string) string) *cobra.Command {
	parent := &cobra.Command{Use: "keyset", Short: "Make and change the keyset of private notes"}
	made := &cobra.Command{
		Use: "new", Short: "Print a new keyset with one key", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := encryption.NewKeyset()
			return printed(cmd.OutOrStdout(), text, err)
		},
	}
	changing := func(use, short string, act func(cmd *cobra.Command, text string) error) *cobra.Command {
		cmd := &cobra.Command{
			Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				cfg, err := loadConfig(cmd.Flags(), getenv, notes)
				if err != nil {
					return err
				}
				if !cfg.NotesKeyset.Given() {
					return fmt.Errorf("%s: is required; set it to the path of the file with the keyset", envNotesKeysetFile)
				}
				text, err := cfg.NotesKeyset.Read()
				if err != nil {
					return err
				}
				return act(cmd, text)
			},
		}
		addFlags(cmd.Flags(), notes)
		return cmd
	}
	var id uint32
	withKey := func(cmd *cobra.Command) *cobra.Command {
		cmd.Flags().Uint32Var(&id, "key", 0, "ID of the key")
		if err := cmd.MarkFlagRequired("key"); err != nil {
			panic(err) // the flag is defined above
		}
		return cmd
	}
	parent.AddCommand(made,
		changing("show", "List the keys without their secrets", func(cmd *cobra.Command, text string) error {
			return showKeys(cmd.OutOrStdout(), text)
		}),
		changing("add", "Print the keyset with a further key, which does not encrypt yet", func(cmd *cobra.Command, text string) error {
			changed, added, err := encryption.AddKey(text)
			if err == nil {
				_, err = fmt.Fprintf(cmd.ErrOrStderr(), "added the key %d\n", added)
			}
			return printed(cmd.OutOrStdout(), changed, err)
		}),
		withKey(changing("promote", "Print the keyset with another key as the primary one, which encrypts", func(cmd *cobra.Command, text string) error {
			changed, err := encryption.PromoteKey(text, id)
			return printed(cmd.OutOrStdout(), changed, err)
		})),
		withKey(changing("drop", "Print the keyset without a key; run notes rotate before", func(cmd *cobra.Command, text string) error {
			changed, err := encryption.DropKey(text, id)
			return printed(cmd.OutOrStdout(), changed, err)
		})))
	return parent
}

func printed(out io.Writer, text string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

func showKeys(out io.Writer, text string) error {
	keys, err := encryption.KeysOf(text)
	if err != nil {
		return err
	}
	for _, k := range keys {
		use := "decrypts"
		if k.Primary {
			use = "encrypts and decrypts"
		}
		if _, err := fmt.Fprintf(out, "%d %s\n", k.ID, use); err != nil {
			return err
		}
	}
	return nil
}
