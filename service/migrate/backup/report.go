package backup

import (
	"encoding/json"
	"fmt"

	"github.com/mirubato/mirubato/api/contract"
)

// FitReport encodes a report without its tables in at most limit bytes. If that is not enough it loses the names of what was
// removed, and then the end of its message.
func FitReport(report contract.BackupReport, limit int) ([]byte, error) {
	report.Tables = nil
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		switch {
		case len(line) <= limit:
			return line, nil
		case len(report.Removed) > 0:
			report.Removed = report.Removed[:len(report.Removed)/2]
		case report.Error != nil && report.Error.Message != "":
			shorter := *report.Error
			shorter.Message = cut(shorter.Message)
			report.Error = &shorter
		default:
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
	}
}

// FitRestoreReport encodes a report in at most limit bytes. If need be it loses the end of its message.
func FitRestoreReport(report contract.RestoreReport, limit int) ([]byte, error) {
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		if len(line) <= limit {
			return line, nil
		}
		if report.Error == nil || report.Error.Message == "" {
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
		shorter := *report.Error
		shorter.Message = cut(shorter.Message)
		report.Error = &shorter
	}
}

// cut takes a quarter off the end, and the last character in any case.
func cut(text string) string {
	runes := []rune(text)
	return string(runes[:len(runes)*3/4])
}
