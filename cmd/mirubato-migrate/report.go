package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/mirubato/mirubato/api/contract"
)

// writeReport prints the whole report, and puts one that fits a termination message into file if that has a name.
func writeReport[R any](report R, fit func(report R, limit int) ([]byte, error), out io.Writer, file string) error {
	if err := json.NewEncoder(out).Encode(report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if file == "" {
		return nil
	}
	short, err := fit(report, contract.MaxTerminationMessage)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, short, 0o644); err != nil { //nolint:gosec // the report is for whoever may see the container
		return fmt.Errorf("writing the file of --report: %w", err)
	}
	return nil
}
