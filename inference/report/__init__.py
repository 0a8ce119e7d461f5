"""Run folders side by side: tables, figures, pictures, the thesis's numbers."""
